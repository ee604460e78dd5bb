import { z } from "zod";
import { checkCondition, ConditionError, type ConditionScope } from "./condition.js";
import { LIMITS } from "./limits.js";

/** A condition that parses; the issue's message has the position where it does not. */
export function conditionText(scope: ConditionScope) {
  return z
    .string()
    .min(1, { abort: true })
    .max(LIMITS.conditionCharsMax, { abort: true })
    .superRefine((text, context) => {
      const problem = problemOf(text, scope);
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    });
}

function problemOf(text: string, scope: ConditionScope): string | null {
  try {
    checkCondition(text, scope);
    return null;
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    return `does not parse as CEL at character ${error.position + 1} of ${JSON.stringify(text)}: ${error.message}`;
  }
}
