import { z } from "zod";
import { eventName } from "./function-config.js";
import { LIMITS } from "./limits.js";

/** Names that users may not send. */
export const RESERVED_PREFIXES = ["eddy/", "inngest/"] as const;

/** An event as users send it. `id` makes a second send harmless; a `ts` (ms since 1970) in the future delays starts. */
export const eventInput = z.looseObject({
  name: eventName.refine((name) => !RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)), {
    message: `names that start with ${RESERVED_PREFIXES.join(" or ")} are reserved`,
  }),
  id: z
    .string()
    .min(1)
    .max(LIMITS.eventIdCharsMax)
    .refine((id) => !/\p{Surrogate}/u.test(id), "must be well-formed Unicode: it has a lone surrogate")
    .optional(),
  ts: z.number().int().min(0).max(8_640_000_000_000_000).optional(),
  data: z.record(z.string(), z.unknown()).optional(),
  user: z.record(z.string(), z.unknown()).optional(),
  v: z.string().max(64).optional(),
});
export type EventInput = z.infer<typeof eventInput>;

/** An event as handlers get it: `id` and `ts` are always there. */
export interface StoredEvent {
  readonly name: string;
  readonly id: string;
  readonly ts: number;
  readonly data?: Record<string, unknown>;
  readonly user?: Record<string, unknown>;
  readonly v?: string;
}
