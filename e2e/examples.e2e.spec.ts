/** The examples play through on the embedded engine, in virtual time. */
import { playExamples } from "./examples/index.js";

playExamples("embedded");
