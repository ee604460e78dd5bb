/**
 * Random tests draw a fresh seed each time. What fails prints `{ seed, path }`; to play it again, and nothing else:
 *
 *   EDDY_FC_SEED=-1234 EDDY_FC_PATH=17:0:3 npx vitest run engine/test/core/random.unit.spec.ts -t "<name of the test>"
 *
 * The path leads to the smallest script that was found, and belongs to that one test.
 */
import fc from "fast-check";

const { EDDY_FC_SEED: seed, EDDY_FC_PATH: path } = process.env;
if (seed !== undefined) {
  if (!/^-?\d+$/.test(seed)) throw new Error(`EDDY_FC_SEED is a whole number, not ${seed}`);
  fc.configureGlobal({ seed: Number(seed), ...(path === undefined ? {} : { path, endOnFailure: true }) });
}
