import { Eddy } from "@eddy/sdk";
import { printLoaded } from "./print-loaded.js";

await printLoaded((logger) => new Eddy({ id: "a", baseUrl: "http://127.0.0.1:1", logger }));
