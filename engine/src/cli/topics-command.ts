/** `eddy topics`: makes the topics of a namespace, for those who let engines make none. */
import type { Command } from "commander";
import { EddyError } from "@eddy/clients/errors";
import { slug } from "@eddy/schemas";
import { readKafkaConfig } from "../config/kafka-config.js";
import type { ClientDeps } from "./client/client-command.js";
import { CommandError, usageError } from "./client/command-error.js";
import { exitCodeOf } from "./exit-codes.js";

const HELP = `
What is there already is checked, and left as it is. All else comes from the file and the environment, as for
\`eddy start\`. Engines need no right to create topics then, but for apps that are not named here.

Exit codes: 0 done, 1 failed, 2 configuration, or what Kafka refuses.`;

export function addTopicsCommand(program: Command, { terminal }: ClientDeps): void {
  program
    .command("topics")
    .description("make the topics of a namespace on Kafka, or check those that are there")
    .option("--config <file>", "configuration file (YAML)")
    .option("--app <name>", "an app whose topics are made, too; may be repeated", collect, [])
    .addHelpText("after", HELP)
    .action(async ({ config: file, app: apps }: TopicsOptions) => {
      for (const app of apps) {
        if (!slug.safeParse(app).success) throw usageError(`--app: expected an app's id, got ${JSON.stringify(app)}`);
      }
      // Not before it is needed: commands that only ask an engine load no engine.
      const [{ makeTopics }, { defaultLogger }] = await Promise.all([
        import("../world/make-topics.js"),
        import("../main.js"),
      ]);
      try {
        const config = readKafkaConfig({ file, listens: false });
        const names = await makeTopics(config, apps, defaultLogger(config.logLevel));
        await terminal.write(names.map((name) => `${name}\n`).join(""));
      } catch (error) {
        if (error instanceof EddyError && error.family !== "invariant") {
          throw new CommandError(exitCodeOf(error), error.message, { cause: error });
        }
        throw error;
      }
    });
}

interface TopicsOptions {
  readonly config?: string;
  readonly app: readonly string[];
}

const collect = (given: string, before: readonly string[]): readonly string[] => [...before, given];
