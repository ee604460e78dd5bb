/** The pages that a reviewer sees. Plain forms: they work without a line of script. */
import { html, Html } from "./html.js";
import type { ReviewRequest } from "./reviewer.js";

export interface Decision {
  readonly approved: boolean;
  readonly feedback: string;
}

const STYLE = new Html(`
:root { color-scheme: light dark; --line: #8884; --good: #1a7f4b; --bad: #b3372b; }
* { box-sizing: border-box; }
body { max-width: 42rem; margin: 3rem auto; padding: 0 1.25rem; font: 1rem/1.6 system-ui, sans-serif; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
article { padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: 0.6rem; white-space: pre-wrap; }
form { display: grid; gap: 0.75rem; margin-top: 1.5rem; }
textarea { width: 100%; min-height: 5rem; padding: 0.6rem; font: inherit; }
.buttons { display: flex; gap: 0.75rem; }
button { padding: 0.55rem 1.4rem; font: inherit; font-weight: 600; color: #fff; border: 0; border-radius: 0.4rem; }
.approve { background: var(--good); }
.reject { background: var(--bad); }
.note { opacity: 0.75; }
`);

function page(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.text;
}

export function listPage(requests: readonly ReviewRequest[]): string {
  const items = requests.map(
    ({ contentId }) => html`<li><a href="/review/${encodeURIComponent(contentId)}">${contentId}</a></li>`,
  );
  const list = items.reduce((all, item) => html`${all}${item}`, html``);
  const body =
    requests.length === 0
      ? html`<p class="note">Nothing to review.</p>`
      : html`<ul>
          ${list}
        </ul>`;
  return page(
    "Reviews",
    html`<h1>Waiting for review</h1>
      ${body}`,
  );
}

/** @param draft null where this process does not know it: it may have restarted since. The decision counts all the same. */
export function reviewPage(contentId: string, draft: string | null): string {
  const text =
    draft === null
      ? html`<p class="note">This process does not have the draft any more. You can decide all the same.</p>`
      : html`<article>${draft}</article>`;
  return page(
    `Review ${contentId}`,
    html`<h1>Review ${contentId}</h1>
      ${text}
      <form method="post" action="/review/${encodeURIComponent(contentId)}">
        <label for="feedback">Feedback</label>
        <textarea id="feedback" name="feedback" maxlength="2000"></textarea>
        <div class="buttons">
          <button class="approve" name="decision" value="approve">Approve</button>
          <button class="reject" name="decision" value="reject">Reject</button>
        </div>
      </form>`,
  );
}

export function decidedPage(contentId: string, { approved, feedback }: Decision): string {
  const verdict = approved ? "approval" : "rejection";
  const words = feedback === "" ? html`` : html`<article>${feedback}</article>`;
  return page(
    `Review ${contentId}`,
    html`<h1>Your ${verdict} of ${contentId} was sent</h1>
      ${words}
      <p class="note">It counts if it came within 48 hours of the request.</p>
      <p><a href="/">Other reviews</a></p>`,
  );
}

export function problemPage(message: string): string {
  return page(
    "Review",
    html`<h1>That did not work</h1>
      <p>${message}</p>`,
  );
}
