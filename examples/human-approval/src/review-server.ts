/** Serves the review pages; a decision becomes the event that the function waits for. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { decidedPage, listPage, problemPage, reviewPage, type Decision } from "./review-pages.js";
import { reviewRequests, type ReviewRequest } from "./reviewer.js";

export interface ReviewCompleted {
  readonly name: "content/review.completed";
  readonly data: { readonly contentId: string; readonly approved: boolean; readonly feedback: string };
}

const BODY_BYTES_MAX = 16_384;

class HttpProblem extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** @param send usually the client's `send`: resolves once the engine has the event. */
export function createReviewServer(send: (event: ReviewCompleted) => Promise<unknown>): Server {
  /** By content id; a decision belongs to one request, a newer one is open again. */
  const decisions = new Map<string, { readonly of: ReviewRequest | undefined; readonly decision: Decision }>();
  const decisionFor = (contentId: string): Decision | undefined => {
    const made = decisions.get(contentId);
    return made?.of === reviewRequests.get(contentId) ? made?.decision : undefined;
  };

  async function answer(request: IncomingMessage): Promise<string> {
    const { pathname } = new URL(request.url ?? "/", "http://review");
    if (pathname === "/" && request.method === "GET") {
      return listPage([...reviewRequests.values()].filter(({ contentId }) => decisionFor(contentId) === undefined));
    }
    const contentId = contentIdOf(pathname);
    const known = decisionFor(contentId);
    if (known !== undefined) return decidedPage(contentId, known);
    const asked = reviewRequests.get(contentId);
    if (request.method === "GET") return reviewPage(contentId, asked?.draft ?? null);
    if (request.method !== "POST") throw new HttpProblem(405, "This page knows GET and POST.");
    const decision = decisionOf(await bodyOf(request));
    await send({ name: "content/review.completed", data: { contentId, ...decision } });
    decisions.set(contentId, { of: asked, decision });
    return decidedPage(contentId, decision);
  }

  return createServer((request, response) => {
    answer(request).then(
      (page) => {
        reply(response, 200, page);
      },
      (error: unknown) => {
        if (!(error instanceof HttpProblem)) console.error(error);
        const [status, message] =
          error instanceof HttpProblem
            ? [error.status, error.message]
            : [502, "The engine did not take the decision. Try again."];
        reply(response, status, problemPage(message));
      },
    );
  });
}

function contentIdOf(pathname: string): string {
  const match = /^\/review\/([^/]+)$/.exec(pathname);
  if (match?.[1] === undefined) throw new HttpProblem(404, "There is no such page.");
  try {
    return decodeURIComponent(match[1]);
  } catch {
    throw new HttpProblem(400, "The address is not valid.");
  }
}

function decisionOf(body: URLSearchParams): Decision {
  const decision = body.get("decision");
  if (decision !== "approve" && decision !== "reject") throw new HttpProblem(400, "Approve or reject, please.");
  return { approved: decision === "approve", feedback: body.get("feedback")?.trim() ?? "" };
}

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new HttpProblem(413, "The feedback is too long.");
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}

function reply(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "cache-control": "no-store",
  });
  response.end(page);
}
