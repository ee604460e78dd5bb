/** A worker: connects to the engine at EDDY_BASE_URL (default http://127.0.0.1:8288) and runs the function. */
import { connect } from "@eddy/sdk";
import cartAbandonment from "./cart-abandonment.js";
import { eddy } from "./client.js";

await connect({ apps: [{ client: eddy, functions: [cartAbandonment] }] });
console.log(`ready: ${cartAbandonment.id} is registered at ${eddy.baseUrl}`);
