/** Time: what comes due before a record, and after one that moves the clock. */
import { SETTLE_POLL_MS } from "@eddy/schemas";
import { timeOutGuest } from "./guest-model.js";
import type { PartitionModel } from "./partition-model.js";
import { isSettled, saySettled } from "./registration-model.js";
import type { Guest, GuestWait, ModelRun, Pending } from "./run.js";

interface Due {
  readonly atMs: number;
  readonly order: string;
  readonly fire: () => void;
}

export function fireDue(model: PartitionModel): void {
  for (;;) {
    const due = dueTimers(model);
    if (due.length === 0) return;
    for (const timer of due) timer.fire();
  }
}

const digits = (no: number): string => String(no).padStart(12, "0");

/** In the order of time; at equal times stream time before raw time, then guests, runs and routes, by name and number. */
function dueTimers(model: PartitionModel): Due[] {
  const { nowMs, rawMs, advanceMs } = model;
  const due: Due[] = [];
  for (const guest of model.guests.values()) {
    for (const wait of guest.waits) {
      if (wait.dueAtMs > nowMs) continue;
      const order = `v|g|${guest.base}|${digits(wait.no)}`;
      due.push({ atMs: wait.dueAtMs, order, fire: () => fireGuest(model, guest, wait) });
    }
  }
  for (const run of model.runs.values()) {
    for (const pending of run.pending) {
      if (pending.kind === "foreignWait" || (pending.kind === "retry" && pending.isDue)) continue;
      if (pending.dueAtMs > nowMs) continue;
      const order = `v|r|${run.runId}|${digits(pending.no)}`;
      due.push({ atMs: pending.dueAtMs, order, fire: () => firePending(model, run, pending) });
    }
    if (run.inFlight && run.leaseUntilMs <= rawMs) {
      const fire = (): void => {
        if (run.inFlight && run.leaseUntilMs <= model.rawMs) model.dispatch(run, "leaseLost");
      };
      due.push({ atMs: run.leaseUntilMs + advanceMs, order: `w|l|${run.runId}`, fire });
    }
  }
  for (const [version, { sendAtMs }] of model.settling) {
    if (sendAtMs === null || sendAtMs > rawMs) continue;
    const order = `w|s|${digits(version)}`;
    due.push({ atMs: sendAtMs + advanceMs, order, fire: () => saySettled(model, version) });
  }
  return due.sort((a, b) => a.atMs - b.atMs || (a.order < b.order ? -1 : 1));
}

function firePending(model: PartitionModel, run: ModelRun, pending: Pending): void {
  if (!run.pending.includes(pending) || !model.runs.has(run.runId)) return;
  if (pending.kind === "retry" && run.inFlight) {
    pending.isDue = true;
    return;
  }
  if (pending.kind === "wait" && pending.value !== null && !isSettled(model, pending)) {
    pending.dueAtMs = model.nowMs + SETTLE_POLL_MS;
    return;
  }
  run.pending = run.pending.filter((p) => p !== pending);
  if (pending.kind === "sleep" || pending.kind === "wait") {
    const { stepId, kind } = pending;
    model.remember(run, { stepId, kind, data: null, error: null, invocation: 0 });
    model.record(run, { kind: kind === "sleep" ? "sleepEnded" : "waitTimedOut", stepId });
  }
  // The record before which it fires is still eligible.
  const ended = pending.kind === "start" ? "" : pending.stepId;
  if (pending.kind !== "retry") model.moveMark(run, ended, { offset: model.offset - 1, atMs: pending.dueAtMs });
  if (run.inFlight) return;
  model.dispatch(run, pending.kind === "start" ? "start" : pending.kind === "retry" ? "retry" : "resume");
}

function fireGuest(model: PartitionModel, guest: Guest, wait: GuestWait): void {
  if (model.guests.get(guest.base) !== guest || !guest.waits.includes(wait)) return;
  if (isSettled(model, wait)) timeOutGuest(model, guest, wait);
  else wait.dueAtMs = model.nowMs + SETTLE_POLL_MS;
}
