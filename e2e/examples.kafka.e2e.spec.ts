/** The examples play through on Kafka: two engines, two workers, virtual time. */
import { playExamples } from "./examples/index.js";

playExamples("kafka");
