/** Stands in for a language model. */
export interface Generated {
  readonly text: string;
}

export const llm = {
  async generate({ prompt, model }: { readonly prompt: string; readonly model: string }): Promise<Generated> {
    console.log(`${model}: writing about ${prompt}`);
    return { text: `There is much to say about ${prompt}. We have said it here.` };
  },
};
