/** `eddy dev`: an engine without Kafka. */
import { Option, type Command } from "commander";
import { CONFIG_DEFAULTS, LOG_LEVELS, readEngineConfig } from "../config/engine-config.js";
import { EXIT_CODES_HELP } from "./exit-codes.js";
import { devMessage } from "./start-message.js";

const HELP = `
Each option is also an environment variable: --data-dir is EDDY_DATA_DIR. Only there: EDDY_TLS_CERT and EDDY_TLS_KEY
(files), EDDY_METRICS_ACCESS, EDDY_CONNECTIONS_MAX and other limits.
`;

export function addDevCommand(program: Command): void {
  const { host, port, dataDir, partitions, cacheMib, logLevel } = CONFIG_DEFAULTS;
  // No defaults here: what is not given may still come from the environment.
  program
    .command("dev")
    .description("run an engine in this process, without Kafka")
    .option("--host <address>", `address to listen on (default: ${host})`)
    .option("--port <number>", `port to listen on, 0 for any free one (default: ${port})`)
    .option("--tokens-file <file>", "what tokens allow; needed to listen elsewhere than on loopback")
    .option("--data-dir <folder>", `folder of log and state (default: ${dataDir})`)
    .option("--in-memory", "keep everything in memory")
    .option("--fsync", "acknowledge only what survives a power loss")
    .option("--partitions <number>", `inbox partitions of a new data directory (default: ${partitions})`)
    .option("--sender-settle <duration>", "how long senders may go by former routes (default: 1s)")
    .option("--cache-mib <number>", `memory for rows used lately, in MiB (default: ${cacheMib})`)
    .addOption(new Option("--log-level <level>", `(default: ${logLevel})`).choices([...LOG_LEVELS]))
    .addHelpText("after", HELP + EXIT_CODES_HELP)
    .action(async (options: Record<string, unknown>) => {
      // Not before it is needed: commands that only ask an engine load no engine.
      const { runEngine } = await import("./run-engine.js");
      await runEngine({ read: () => readEngineConfig(options), message: devMessage });
    });
}
