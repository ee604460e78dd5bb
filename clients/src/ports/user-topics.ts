/** Port: topics that are the users' own. Read through `Log` once they are looked up here; Eddy makes and changes none. */
export interface UserTopics {
  /**
   * Asked anew each time: topics grow. From then on `Log` takes the topic: readers leave out what is not committed, and
   * expect gaps.
   * @returns how many partitions it has; null: there is no such topic. @throws TransientError
   */
  partitionsOf(topic: string): Promise<number | null>;
}
