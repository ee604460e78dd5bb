/**
 * One member of a group: a loop that joins, stays by heartbeats, and joins again when the group changes.
 *
 *             ┌────────────────── heartbeat: the group changes ──────────────────┐
 *             v                                                                  │
 *   onRebalancing ──> JoinGroup ──> the leader shares out ──> SyncGroup ──> onAssigned ──> heartbeats
 *             ^                                                                  │
 *             └── onRebalancing, onAssigned([]) <── nobody knows this member ────┘
 *
 * Invariants: heartbeats go on while the listener finishes. A partition that stays in `onAssigned` was nobody else's in
 * between: where shares may have reached others that this member knows nothing of, it says `onAssigned([])` first. Once
 * in, only `leave` ends it: whatever fails is tried again, what was refused more slowly.
 */
import { ClosedError } from "../errors/codes.js";
import type { GroupListener, GroupMember, GroupSpec } from "../ports/groups.js";
import type { GroupOffset } from "../ports/log.js";
import { GroupCommits } from "./group-commits.js";
import type { GroupCoordinator, GroupTimes } from "./group-coordinator.js";
import { NO_GENERATION, decodeShare, encodeClaim, shareOut } from "./group-protocol.js";
import type { Share } from "./group-protocol.js";
import type { Identity, JoinAnswer } from "./group-requests.js";
import type { KafkaClient } from "./kafka-client.js";
import { portError, verdictOf } from "./kafka-errors.js";
import type { Verdict } from "./kafka-errors.js";

export interface KafkaGroupMemberDeps {
  readonly client: KafkaClient;
  readonly coordinator: Pick<GroupCoordinator, keyof GroupCoordinator>;
  readonly times: GroupTimes;
  readonly spec: GroupSpec;
  readonly listener: GroupListener;
  /** The offsets of the group, whoever committed them. */
  readonly committed: (partition: number) => Promise<GroupOffset | null>;
  readonly onEnd: (member: KafkaGroupMember) => void;
}

const REBALANCE_IN_PROGRESS = 27;
const UNKNOWN_MEMBER_ID = 25;
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 1_000;
/** After a refusal that people must end: a permission, a setting. */
const REFUSED_PAUSE_MS = 5_000;
const PASSING: ReadonlySet<Verdict> = new Set(["retry", "leader", "coordinator", "fenced"]);

export class KafkaGroupMember implements GroupMember {
  readonly #deps: KafkaGroupMemberDeps;
  readonly #commits: GroupCommits;
  readonly #leaving = new AbortController();
  #nap = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  /** Empty: the coordinator has not named it yet, or does not know it any more. */
  #memberId = "";
  /** Its place in a generation; null: it has none, or lost it. */
  #identity: Identity | null = null;
  #partitions: readonly number[] = [];
  #owners: readonly (string | null)[] = [];
  /** What it was given last, and when: claimed even after the place was lost, as its rows may still be on disk. */
  #claimed = { generation: NO_GENERATION, owned: [] as readonly number[] };
  /** As their leader it knows that no generation from `#claimed` to this one gave anybody a share. */
  #voidUpTo = NO_GENERATION;
  #mustJoin = true;
  #wasAssigned = false;
  /** Between an `onAssigned` and its `onRebalancing`. */
  #isWorking = false;
  #hasLeft = false;
  #failingSinceMs: number | null = null;
  #pauseMs = PAUSE_MS_MIN;

  constructor(deps: KafkaGroupMemberDeps) {
    this.#deps = deps;
    const { client, spec } = deps;
    this.#commits = new GroupCommits({
      client,
      group: spec.group,
      topic: spec.topic,
      identity: () => this.#identity,
      onFenced: () => this.#nap.abort(),
    });
  }

  get partitions(): readonly number[] {
    return this.#partitions;
  }

  ownerOf(partition: number): string | null {
    return this.#owners[partition] ?? null;
  }

  /** As `Groups.join`; called once. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ended = this.#live(resolve, reject);
    });
  }

  async commit(partition: number, at: GroupOffset): Promise<void> {
    this.#checkOpen();
    await this.#commits.commit(partition, at);
  }

  async committed(partition: number): Promise<GroupOffset | null> {
    this.#checkOpen();
    return this.#deps.committed(partition);
  }

  async leave(): Promise<void> {
    if (!this.#isOver) {
      this.#leaving.abort();
      this.#nap.abort();
      // A join may wait long for others.
      if (this.#mustJoin) this.#deps.coordinator.disconnect("this member leaves its group");
    }
    await this.#ended;
  }

  /** Gives up its place and tells the group, not the listener: its log is closed. Never rejects. */
  async abandon(): Promise<void> {
    this.#hasLeft = true;
    this.#leaving.abort();
    this.#nap.abort();
    this.#deps.coordinator.disconnect("the log is closed");
    await this.#sayGoodbye();
  }

  get #isOver(): boolean {
    return this.#leaving.signal.aborted || this.#deps.client.signal.aborted;
  }

  /** Never rejects. @param onRefused where it never got in */
  async #live(onFirst: () => void, onRefused: (error: unknown) => void): Promise<void> {
    while (!this.#isOver) {
      try {
        await (this.#mustJoin ? this.#join() : this.#stay());
        if (this.#wasAssigned) onFirst();
        this.#failingSinceMs = null;
        this.#pauseMs = PAUSE_MS_MIN;
      } catch (error) {
        const refusal = this.#isOver ? null : await this.#recover(error);
        if (refusal === null) continue;
        onRefused(refusal);
        break;
      }
    }
    await this.#end();
    onRefused(new ClosedError("this log is closed"));
  }

  async #stay(): Promise<void> {
    const { client, coordinator, times } = this.#deps;
    this.#nap = new AbortController();
    await client.clock.sleep(times.heartbeatMs, this.#nap.signal);
    if (!this.#isOver && this.#identity !== null) await coordinator.heartbeat(this.#identity);
  }

  async #join(): Promise<void> {
    await this.#finish();
    if (this.#identity === null && this.#partitions.length > 0) {
      // Others may have them by now.
      this.#tell([]);
      await this.#finish();
    }
    if (this.#isOver) return;
    const { spec, coordinator } = this.#deps;
    const { topic, address } = spec;
    const claim = encodeClaim({ topic, address, ...this.#claimed });
    const answer = await coordinator.join(this.#memberId, claim, (memberId) => (this.#memberId = memberId));
    const share = await this.#sync(answer);
    const { memberId, generation } = answer;
    if (!this.#isOver) await this.#take({ memberId, generation }, share);
  }

  async #sync(answer: JoinAnswer): Promise<Share> {
    const { spec, coordinator } = this.#deps;
    const { memberId, generation, leaderId, members } = answer;
    const isLeader = leaderId === memberId;
    const former = generation - 1;
    const previous = this.#voidUpTo === former ? this.#claimed.generation : former;
    const shares = isLeader ? shareOut({ ...spec, members, previous }) : [];
    try {
      return decodeShare(await coordinator.sync({ memberId, generation }, shares), spec);
    } catch (error) {
      // The coordinator forgot what it was told, as the group changed again.
      const isVoid = isLeader && codeOf(error) === REBALANCE_IN_PROGRESS;
      if (isVoid && this.#voidUpTo === former) this.#voidUpTo = generation;
      throw error;
    }
  }

  async #take(identity: Identity, share: Share): Promise<void> {
    const { generation } = identity;
    const previous = share.previous === NO_GENERATION ? generation - 1 : share.previous;
    this.#identity = identity;
    const isContinuous = this.#claimed.generation >= previous;
    if (!isContinuous && this.#partitions.some((p) => share.partitions.includes(p))) {
      this.#tell([]);
      await this.#finish();
      if (this.#isOver) return;
    }
    this.#mustJoin = false;
    this.#claimed = { generation, owned: share.partitions };
    this.#voidUpTo = generation;
    this.#owners = share.owners;
    this.#wasAssigned = true;
    this.#tell(share.partitions);
  }

  #tell(partitions: readonly number[]): void {
    this.#partitions = partitions;
    this.#commits.hold(partitions);
    this.#isWorking = true;
    this.#deps.listener.onAssigned(partitions);
  }

  /** `onRebalancing`, if there is anything to finish; its place is kept meanwhile. */
  async #finish(): Promise<void> {
    if (!this.#isWorking) return;
    this.#isWorking = false;
    const { client, listener, times, spec } = this.#deps;
    const finished = new AbortController();
    const finishing = listener
      .onRebalancing()
      .catch((error: unknown) => client.logger.error({ group: spec.group, error }, "a group's listener failed"))
      .finally(() => finished.abort());
    while (!finished.signal.aborted) {
      await client.clock.sleep(times.heartbeatMs, finished.signal);
      if (!finished.signal.aborted) await this.#keepPlace();
    }
    await finishing;
  }

  /** Never rejects. */
  async #keepPlace(): Promise<void> {
    if (this.#identity === null) return;
    const { client, coordinator, spec } = this.#deps;
    try {
      await coordinator.heartbeat(this.#identity);
    } catch (error) {
      if (codeOf(error) === REBALANCE_IN_PROGRESS) return;
      if (verdictOf(error) === "fenced") this.#losePlace(error);
      else coordinator.reconsider(error);
      client.logger.debug({ group: spec.group, error }, "no heartbeat while a member of a group finishes its work");
    }
  }

  #losePlace(error: unknown): void {
    this.#identity = null;
    this.#mustJoin = true;
    if (codeOf(error) === UNKNOWN_MEMBER_ID) this.#memberId = "";
  }

  /** After a pause all is tried again. @returns the error that ends the member instead, where it never got in */
  async #recover(error: unknown): Promise<Error | null> {
    const { client, coordinator, spec } = this.#deps;
    const verdict = verdictOf(error);
    if (verdict === "fenced") this.#losePlace(error);
    if (codeOf(error) === REBALANCE_IN_PROGRESS) this.#mustJoin = true;
    else this.#failingSinceMs ??= client.clock.nowMs();
    const reason = portError(error, { doing: `let us into group ${spec.group}`, fields: { group: spec.group } });
    const isPassing = PASSING.has(verdict);
    if (!this.#wasAssigned) {
      const failingMs = client.clock.nowMs() - (this.#failingSinceMs ?? client.clock.nowMs());
      if (!isPassing || failingMs > client.patienceMs) return reason;
    }
    if (verdict === "fenced") client.logger.warn({ group: spec.group }, "lost our place in a group; we join again");
    else if (!isPassing) client.logger.error({ group: spec.group, error: reason }, "we are kept out of a group");
    else client.logger.debug({ group: spec.group, error: reason }, "a group's coordinator did not do as asked");
    coordinator.reconsider(error);
    await client.clock.sleep(isPassing ? this.#pauseMs : REFUSED_PAUSE_MS, this.#leaving.signal);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
    return null;
  }

  async #end(): Promise<void> {
    if (!this.#hasLeft && !this.#deps.client.signal.aborted) {
      await this.#finish();
      if (this.#wasAssigned) this.#tell([]);
      this.#isWorking = false;
      this.#hasLeft = true;
      await this.#sayGoodbye();
    }
    this.#hasLeft = true;
    this.#identity = null;
    this.#deps.onEnd(this);
  }

  /** Never rejects: where it fails, the end of the session does the same. */
  async #sayGoodbye(): Promise<void> {
    const { client, coordinator, spec } = this.#deps;
    try {
      if (this.#memberId !== "") await coordinator.leave(this.#memberId);
    } catch (error) {
      const how = "a group does not know that we left: it waits until our session ends";
      if (codeOf(error) !== UNKNOWN_MEMBER_ID) client.logger.warn({ group: spec.group, error }, how);
    } finally {
      coordinator.disconnect("this member has left its group");
    }
  }

  #checkOpen(): void {
    this.#deps.client.checkOpen();
    if (this.#hasLeft) throw new ClosedError(`this member has left ${this.#deps.spec.group}`);
  }
}

/** Kafka's number; null for what no broker said. */
function codeOf(error: unknown): number | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "number" ? code : null;
}
