/** Types of values that went through JSON: what a step's result and an event's data look like to a re-entered handler. */

type IsAny<T> = 0 extends 1 & T ? true : false;
/** Left out of objects by JSON, null in arrays. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any function at all: parameters are contravariant
type Dropped = undefined | symbol | ((...args: any[]) => unknown);

/**
 * `T` after `JSON.parse(JSON.stringify(value))`: dates are strings, functions are gone, maps and sets are empty objects,
 * a bigint is `never` because it throws.
 */
export type Jsonify<T> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? unknown
      : T extends { toJSON(): infer J }
        ? Jsonify<J>
        : T extends string | number | boolean | null
          ? T
          : T extends bigint | Dropped
            ? never
            : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | RegExp | Promise<unknown>
              ? Record<string, never>
              : T extends readonly unknown[]
                ? { -readonly [K in keyof T]: InArray<T[K]> }
                : T extends object
                  ? JsonObject<T>
                  : never;

type InArray<T> = IsAny<T> extends true ? T : T extends Dropped ? null : Jsonify<T>;

type KeptKeys<T> = {
  [K in keyof T]-?: K extends symbol
    ? never
    : IsAny<T[K]> extends true
      ? K
      : unknown extends T[K]
        ? K
        : [T[K]] extends [Dropped]
          ? never
          : K;
}[keyof T];
/** Keys that may be missing afterwards although they are there before. */
type MaybeKeys<T> = {
  [K in keyof T]-?: IsAny<T[K]> extends true
    ? never
    : unknown extends T[K]
      ? never
      : undefined extends T[K]
        ? K
        : never;
}[keyof T];

type JsonObject<T> = Flat<
  { [K in keyof T as K extends Exclude<KeptKeys<T>, MaybeKeys<T>> ? K : never]: Jsonify<T[K]> } & {
    [K in keyof T as K extends Extract<KeptKeys<T>, MaybeKeys<T>> ? K : never]?: Jsonify<Exclude<T[K], Dropped>>;
  }
>;
type Flat<T> = { [K in keyof T]: T[K] };

/** What `step.run` resolves with: JSON has no `undefined`, so nothing is null. */
export type StepResult<T> =
  IsAny<T> extends true ? T : unknown extends T ? unknown : T extends Dropped | void ? null : Jsonify<T>;
