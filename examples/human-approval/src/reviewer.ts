/** Stands in for the message to a reviewer: prints the link, and keeps the draft for the page behind it. */
export interface ReviewRequest {
  readonly contentId: string;
  readonly draft: string;
  readonly reviewUrl: string;
}

/** Where the review page is. */
export const baseUrl = process.env["REVIEW_URL"] ?? "http://127.0.0.1:8290";

/** The newest request of each content id. */
export const reviewRequests = new Map<string, ReviewRequest>();

export async function notifyReviewer(request: ReviewRequest): Promise<void> {
  reviewRequests.set(request.contentId, request);
  console.log(`please review ${request.contentId}: ${request.reviewUrl}`);
}
