export { PrometheusMeter } from "./prometheus-meter.js";
