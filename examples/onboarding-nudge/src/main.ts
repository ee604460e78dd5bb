/** A worker: connects to the engine at EDDY_BASE_URL (default http://127.0.0.1:8288) and runs the function. */
import { connect } from "@eddy/sdk";
import { eddy } from "./client.js";
import onboardingNudge from "./onboarding-nudge.js";

await connect({ apps: [{ client: eddy, functions: [onboardingNudge] }] });
console.log(`ready: ${onboardingNudge.id} is registered at ${eddy.baseUrl}`);
