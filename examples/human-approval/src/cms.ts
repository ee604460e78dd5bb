/** Stands in for a content management system: prints, and remembers what it was told. */
export interface Published {
  readonly contentId: string;
  readonly text: string;
}
export interface Archived {
  readonly contentId: string;
  readonly reason: string;
}

export const published: Published[] = [];
export const archived: Archived[] = [];

export const cms = {
  async publish(contentId: string, text: string): Promise<void> {
    published.push({ contentId, text });
    console.log(`cms: published ${contentId}`);
  },
  async archive(contentId: string, { reason }: { readonly reason: string }): Promise<void> {
    archived.push({ contentId, reason });
    console.log(`cms: archived ${contentId}: ${reason}`);
  },
};
