/** A test asked for something that cannot be, or what it tests does not come to rest. The message says what to do. */
export class TestEngineError extends Error {
  override readonly name = "TestEngineError";
}
