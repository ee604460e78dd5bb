/** @returns one sentence for each file that is missing, stale or left over. */
export function drift(wanted: ReadonlyMap<string, string>, present: ReadonlyMap<string, string>): readonly string[] {
  const problems: string[] = [];
  for (const [name, text] of wanted) {
    const found = present.get(name);
    if (found === undefined) problems.push(`${name} is missing`);
    else if (found !== text) problems.push(`${name} is not what its source gives`);
  }
  for (const name of present.keys()) if (!wanted.has(name)) problems.push(`${name} is left over`);
  return problems;
}
