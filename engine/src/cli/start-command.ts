/** `eddy start`: an engine on Kafka. */
import { Option, type Command } from "commander";
import { LOG_LEVELS } from "../config/engine-config.js";
import { readKafkaConfig } from "../config/kafka-config.js";
import { EXIT_CODES_HELP } from "./exit-codes.js";
import { kafkaMessage } from "./start-message.js";

const HELP = `
The configuration file is YAML, its keys are the options: --data-dir is dataDir. Each key is also an environment
variable: dataDir is EDDY_DATA_DIR, sasl.password is EDDY_SASL_PASSWORD. Options win over the environment, that over the
file. Only there: ssl (true, or files ca, cert and key), sasl (mechanism, username, password), tls (files cert and key
of the gateway), metricsAccess, and limits of connections and requests.
`;

export function addStartCommand(program: Command): void {
  // No defaults here: what is not given may still come from the file or the environment.
  program
    .command("start")
    .description("run an engine on Kafka")
    .option("--config <file>", "configuration file (YAML)")
    .option("--brokers <addresses>", "Kafka, host:port, several with commas between")
    .option("--namespace <name>", "what shares topics with others of the same name (default: default)")
    .option("--dev", "a namespace to try things in: its clock may be moved, one copy of the data is enough")
    .option("--partitions <number>", "inbox partitions of a new namespace (default: 64, with --dev 4)")
    .option("--sender-settle <duration>", "how long senders may go by former routes, new namespace (default: 20s)")
    .option("--host <address>", "address to listen on (default: 0.0.0.0)")
    .option("--port <number>", "port to listen on, 0 for any free one (default: 8288)")
    .option("--advertised-url <url>", "where other engines reach this one (default: this machine's address)")
    .option("--tokens-file <file>", "what tokens allow; needed to listen elsewhere than on loopback")
    .option("--peer-token-file <file>", "the token by which this engine asks the others; with --tokens-file")
    .option("--data-dir <folder>", "folder of local state, of this process alone (default: .eddy)")
    .option("--cache-mib <number>", "memory for rows used lately, in MiB (default: 128)")
    .option("--client-id <name>", "shown in the brokers' logs and quotas (default: eddy-engine)")
    .option("--replication-factor <number>", "copies of topics that are made, not with --dev (default: 3)")
    .option("--min-insync-replicas <number>", "copies that have what is acknowledged, not with --dev (default: 2)")
    .option("--check-config", "only say whether the configuration is well-formed")
    .addOption(new Option("--log-level <level>", "(default: info)").choices([...LOG_LEVELS]))
    .addHelpText("after", HELP + EXIT_CODES_HELP)
    .action(async ({ config: file, checkConfig, ...options }: StartOptions) => {
      // Not before it is needed: commands that only ask an engine load no engine.
      const { runEngine } = await import("./run-engine.js");
      await runEngine({
        read: () => readKafkaConfig({ file, options }),
        message: kafkaMessage,
        onlyCheck: checkConfig === true,
      });
    });
}

interface StartOptions extends Record<string, unknown> {
  readonly config?: string;
  readonly checkConfig?: boolean;
}
