import { beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { Patience } from "../../src/world/patience.js";
import { ClosedError, ConfigError, TransientError } from "../../../clients/src/errors/codes.js";
import { LinesLogger, settle } from "../gateway/fixtures.js";

describe("patience", () => {
  let clock: ManualClock;
  let logger: LinesLogger;
  let stopping: AbortController;
  let patience: Patience;
  let tries: number;
  beforeEach(() => {
    [clock, logger, stopping, tries] = [new ManualClock(), new LinesLogger(), new AbortController(), 0];
    patience = new Patience({ clock, logger, signal: stopping.signal });
  });

  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await settle();
      clock.advance(1_000);
    }
    await settle();
  }

  it("tries on for as long as it takes, with one message a minute, and says when it is over", async () => {
    let isThere = false;
    const done = patience.untilDone(() => {
      tries += 1;
      return isThere ? Promise.resolve("answer") : Promise.reject(new TransientError("nobody there"));
    });
    await pass(119);
    expect(tries).toBe(120);
    expect(patience.trouble).toBe("waiting for the log: nobody there");
    const said = { level: "warn", message: "waiting for the log: nobody there" };
    expect(logger.lines).toMatchObject([said, said]);
    isThere = true;
    await pass(1);
    expect(await done).toBe("answer");
    expect(patience.trouble).toBeNull();
    expect(logger.lines.at(-1)).toMatchObject({ level: "info" });
  });

  it("says nothing where all goes well", async () => {
    expect(await patience.untilDone(() => Promise.resolve(1))).toBe(1);
    expect(logger.lines).toEqual([]);
  });

  it("does not wait for what waiting does not mend", async () => {
    await expect(patience.untilDone(() => Promise.reject(new ConfigError("no")))).rejects.toThrow(ConfigError);
  });

  it("ends when nobody waits any more", async () => {
    const done = patience.untilDone(() => Promise.reject(new TransientError("nobody there")));
    await settle();
    stopping.abort();
    await expect(done).rejects.toThrow(ClosedError);
    await expect(patience.untilDone(() => Promise.resolve(1))).rejects.toThrow(ClosedError);
  });
});
