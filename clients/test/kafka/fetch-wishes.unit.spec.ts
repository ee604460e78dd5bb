import { offset } from "@eddy/schemas";
import { expect, it } from "vitest";
import { FetchCursor } from "../../src/kafka/fetch-cursor.js";
import { wishesOf } from "../../src/kafka/fetch-loop.js";

const cursor = (partition: number, from: number): FetchCursor =>
  new FetchCursor(
    { topic: "t", topicId: "aa", partition, committedOnly: false, gapless: true },
    offset(from),
    () => undefined,
  );

it("a request asks for each partition once: readers at the same offset share, others wait for the next", () => {
  const [a, b, c, d] = [cursor(0, 5), cursor(1, 5), cursor(0, 9), cursor(0, 5)];
  const { wishes, others } = wishesOf([a, b, c, d]);
  expect(wishes.map(({ partition, from, cursors }) => [partition, from, cursors])).toEqual([
    [0, 5, [a, d]],
    [1, 5, [b]],
  ]);
  expect(others).toEqual([c]);
});
