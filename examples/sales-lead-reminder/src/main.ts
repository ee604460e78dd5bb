/** A worker: connects to the engine at EDDY_BASE_URL (default http://127.0.0.1:8288) and runs the function. */
import { connect } from "@eddy/sdk";
import { eddy } from "./client.js";
import salesLeadReminder from "./sales-lead-reminder.js";

await connect({ apps: [{ client: eddy, functions: [salesLeadReminder] }] });
console.log(`ready: ${salesLeadReminder.id} is registered at ${eddy.baseUrl}`);
