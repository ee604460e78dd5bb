/** docs/operate/cli.md: every command's help, from the command line itself. */
import { Readable, Writable } from "node:stream";
import { SystemClock } from "../../clients/src/system-clock.js";
import { Terminal } from "../../engine/src/cli/client/terminal.js";
import { makeProgram } from "../../engine/src/cli/program.js";
import { readClientEnvironment } from "../../engine/src/config/client-config.js";

type Command = ReturnType<typeof makeProgram>;

const INTRO = `# The command \`eddy\`

Written by \`npm run gen\` from the commands' help.

\`eddy dev\` and \`eddy start\` run an engine: [configuration](configuration.md). All others ask one over HTTP, at
\`--url\`, else at \`EDDY_BASE_URL\`, else at \`http://127.0.0.1:8288\`.

- **Output.** What was asked for goes to stdout, all else to stderr. What is wrong is one line that starts with
  \`eddy:\` and says what to do. Colours and cut columns are for terminals alone; \`NO_COLOR\` turns colours off.
  Whatever events and functions bring along is shown without control characters.
- **\`--json\`** prints what the HTTP API answers (\`GET /openapi.json\` describes it): one document, or one line per
  run or entry where there may be any number (\`eddy runs --all\`, \`eddy run --follow\`).
- **Patience.** An engine that is taking partitions over answers 503: it is asked again until \`--timeout\`. Events get
  their ids here before they are sent, so that to send them again has no effect. \`eddy clock advance\` is not repeated.
- **[Exit codes](exit-codes.md)** tell apart what a script does next: 5 no engine, 6 refused, 7 try later.
- **Completion.** \`source <(eddy completion bash)\` in \`~/.bashrc\` (with the package bash-completion),
  \`source <(eddy completion zsh)\` in \`~/.zshrc\`, \`eddy completion fish | source\` in fish's configuration.
`;

/** @returns file name to text. */
export function cliPage(): ReadonlyMap<string, string> {
  let text = "";
  const out = new Writable({
    write: (chunk: Buffer, _, done) => {
      text += chunk.toString();
      done();
    },
  });
  const terminal = new Terminal({ in: Readable.from([]), out, err: out }, true);
  const environment = readClientEnvironment({});
  const program = makeProgram(
    { terminal, environment, fetch, clock: new SystemClock(), makeId: () => "" },
    () => undefined,
  );
  const helpOf = (command: Command): string => {
    text = "";
    command.outputHelp();
    return text.trimEnd();
  };
  const sections = commandsOf(program).map(([name, command]) => `## ${name}\n\n\`\`\`\n${helpOf(command)}\n\`\`\`\n`);
  return new Map([["cli.md", [INTRO, ...sections].join("\n")]]);
}

/** With their names as they are typed, parents first; without those that are made by machines for machines. */
function commandsOf(parent: Command, path = parent.name()): readonly (readonly [string, Command])[] {
  const visible = parent.createHelp().visibleCommands(parent);
  return visible
    .filter((command) => command.name() !== "help")
    .flatMap((command) => {
      const name = `${path} ${command.name()}`;
      return [[name, command] as const, ...commandsOf(command, name)];
    });
}
