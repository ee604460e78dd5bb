/**
 * The requests of a group's member. kafkajs has them too, but loses the id that a new member gets when it has to ask
 * twice: where the second answer is lost as well, a member that nobody speaks for holds the group up for a session.
 * An `errorCode` is Kafka's number; 0 is success.
 */
import type { WireRequest } from "./requests.js";
import { WireError, WireReader, WireWriter } from "./wire.js";

/** Of a group's member, in one generation of the group. */
export interface Identity {
  readonly memberId: string;
  readonly generation: number;
}

export interface JoinRequest {
  readonly group: string;
  /** Empty: a new member. */
  readonly memberId: string;
  readonly sessionMs: number;
  /** How long the coordinator may wait for other members before it answers. */
  readonly rebalanceMs: number;
  /** All members speak it, else the coordinator lets nobody in. */
  readonly protocol: string;
  readonly metadata: Buffer;
}

export interface JoinAnswer extends Identity {
  readonly errorCode: number;
  readonly leaderId: string;
  /** With their metadata; empty unless this member leads. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

/** Of consumers: tools that show groups can read what such members subscribe to. */
const PROTOCOL_TYPE = "consumer";

export function joinRequest(given: JoinRequest): WireRequest<JoinAnswer> {
  return {
    apiKey: 11,
    apiName: "JoinGroup",
    apiVersion: 5,
    encode: () => {
      const out = new WireWriter();
      out.text(given.group).int32(given.sessionMs).int32(given.rebalanceMs).text(given.memberId);
      out.text(null).text(PROTOCOL_TYPE);
      return out.array([given], ({ protocol, metadata }) => out.text(protocol).bytes32(metadata)).bytes;
    },
    decode: (payload) => {
      const from = new WireReader(payload);
      from.int32();
      const [errorCode, generation] = [from.int16(), from.int32()];
      from.text();
      const [leaderId, memberId] = [from.text() ?? "", from.text() ?? ""];
      const members = from.array(() => {
        const id = from.text();
        if (id === null) throw new WireError("a member has no id");
        from.text();
        return { memberId: id, metadata: Buffer.from(bytes(from)) };
      });
      return { errorCode, generation, leaderId, memberId, members };
    },
  };
}

export interface SyncRequest extends Identity {
  readonly group: string;
  /** What each member gets; empty unless this member leads. */
  readonly shares: readonly { readonly memberId: string; readonly share: Buffer }[];
}

export interface SyncAnswer {
  readonly errorCode: number;
  readonly share: Buffer;
}

export function syncRequest(given: SyncRequest): WireRequest<SyncAnswer> {
  return {
    apiKey: 14,
    apiName: "SyncGroup",
    apiVersion: 3,
    encode: () => {
      const out = new WireWriter();
      out.text(given.group).int32(given.generation).text(given.memberId).text(null);
      return out.array(given.shares, ({ memberId, share }) => out.text(memberId).bytes32(share)).bytes;
    },
    decode: (payload) => {
      const from = new WireReader(payload);
      from.int32();
      return { errorCode: from.int16(), share: Buffer.from(bytes(from)) };
    },
  };
}

/** @returns the answer's error code */
export function heartbeatRequest(group: string, { memberId, generation }: Identity): WireRequest<number> {
  return {
    apiKey: 12,
    apiName: "Heartbeat",
    apiVersion: 3,
    encode: () => new WireWriter().text(group).int32(generation).text(memberId).text(null).bytes,
    decode: afterThrottleTime,
  };
}

/** @returns the answer's error code */
export function leaveRequest(group: string, memberId: string): WireRequest<number> {
  return {
    apiKey: 13,
    apiName: "LeaveGroup",
    apiVersion: 2,
    encode: () => new WireWriter().text(group).text(memberId).bytes,
    decode: afterThrottleTime,
  };
}

function afterThrottleTime(payload: Buffer): number {
  const from = new WireReader(payload);
  from.int32();
  return from.int16();
}

/** Null reads as empty. */
function bytes(from: WireReader): Buffer {
  return from.raw(Math.max(from.int32(), 0));
}
