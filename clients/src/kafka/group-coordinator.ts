/**
 * One member's way to the coordinator of its group: a connection of its own, because a JoinGroup is answered when all
 * members are there, and whatever comes behind it on the same connection waits as long. Nothing here repeats by itself.
 */
import { failOn } from "./cluster-view.js";
import type { Purpose } from "./cluster-view.js";
import { GROUP_PROTOCOL } from "./group-protocol.js";
import { heartbeatRequest, joinRequest, leaveRequest, syncRequest } from "./group-requests.js";
import type { Identity, JoinAnswer, SyncRequest } from "./group-requests.js";
import type { KafkaClient } from "./kafka-client.js";
import { UnansweredError, verdictOf } from "./kafka-errors.js";
import type { WireRequest } from "./requests.js";

export interface GroupTimes {
  /** Without a sign of life for this long, a member is taken for dead. In ms. */
  readonly sessionMs: number;
  /** Between signs of life: how late a member may learn of a rebalance. In ms. */
  readonly heartbeatMs: number;
  /** How long a rebalance waits for members to finish what they do. In ms. */
  readonly rebalanceMs: number;
}

const MEMBER_ID_REQUIRED = 79;
/** How long `leave` may take, in ms: the session's end has the same effect. */
const LEAVE_MS_MAX = 2_000;

export class GroupCoordinator {
  readonly #client: KafkaClient;
  readonly #group: string;
  readonly #purpose: Purpose;
  readonly #times: GroupTimes;

  /** @param purpose of connections that nobody else uses */
  constructor(client: KafkaClient, group: string, purpose: Purpose, times: GroupTimes) {
    this.#client = client;
    this.#group = group;
    this.#purpose = purpose;
    this.#times = times;
  }

  /** Resolves when all members are there. @param onMemberId hears of the id that a new member gets, before it is in */
  async join(memberId: string, metadata: Buffer, onMemberId: (memberId: string) => void): Promise<JoinAnswer> {
    const { sessionMs, rebalanceMs } = this.#times;
    const given = { group: this.#group, sessionMs, rebalanceMs, protocol: GROUP_PROTOCOL, metadata };
    const msMax = rebalanceMs + this.#client.requestMsMax;
    let answer = await this.#ask(joinRequest({ ...given, memberId }), msMax);
    if (answer.errorCode === MEMBER_ID_REQUIRED) {
      onMemberId(answer.memberId);
      answer = await this.#ask(joinRequest({ ...given, memberId: answer.memberId }), msMax);
    }
    failOn(answer.errorCode, `group ${this.#group}`);
    onMemberId(answer.memberId);
    return answer;
  }

  /** @returns what the leader gives this member, once the leader has said so */
  async sync(identity: Identity, shares: SyncRequest["shares"]): Promise<Buffer> {
    const msMax = this.#times.rebalanceMs + this.#client.requestMsMax;
    const { memberId, generation } = identity;
    const { errorCode, share } = await this.#ask(
      syncRequest({ group: this.#group, memberId, generation, shares }),
      msMax,
    );
    failOn(errorCode, `group ${this.#group}`);
    return share;
  }

  async heartbeat(identity: Identity): Promise<void> {
    // One that is lost must leave time for others within the session.
    const msMax = Math.min(this.#client.requestMsMax, this.#times.sessionMs / 3);
    failOn(await this.#ask(heartbeatRequest(this.#group, identity), msMax), `group ${this.#group}`);
  }

  /** Tried once. */
  async leave(memberId: string): Promise<void> {
    const msMax = Math.min(this.#client.requestMsMax, LEAVE_MS_MAX);
    const answered = new AbortController();
    const late = async (): Promise<never> => {
      await this.#client.clock.sleep(msMax, answered.signal);
      throw new UnansweredError(`LeaveGroup was not answered within ${msMax} ms`);
    };
    try {
      // Looking for the coordinator counts too.
      failOn(
        await Promise.race([this.#ask(leaveRequest(this.#group, memberId), msMax), late()]),
        `group ${this.#group}`,
      );
    } finally {
      answered.abort();
    }
  }

  /** After an error: looks for the coordinator anew, unless the same one may do what it was asked in a moment. */
  reconsider(error: unknown): void {
    if (verdictOf(error) !== "retry") this.#client.cluster.forgetCoordinator("group", this.#group);
  }

  /** Requests under way reject. */
  disconnect(why: string): void {
    this.#client.cluster.endLinks(this.#purpose, why);
  }

  async #ask<T>(request: WireRequest<T>, msMax: number): Promise<T> {
    const link = await this.#client.cluster.coordinatorLink("group", this.#group, this.#purpose);
    return link.call(request, msMax);
  }
}
