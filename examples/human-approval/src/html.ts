/** HTML as text: what is put in by `${}` is escaped, unless it is HTML itself. */
export class Html {
  constructor(readonly text: string) {}
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function html(parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  let text = parts[0] ?? "";
  for (const [i, value] of values.entries()) {
    text += (value instanceof Html ? value.text : escape(value)) + (parts[i + 1] ?? "");
  }
  return new Html(text);
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}
