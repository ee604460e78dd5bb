import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError, WireReader, WireWriter, varintSize } from "../../src/kafka/wire.js";

const int = (min: number, max: number) => fc.integer({ min, max });

describe("bytes on the wire", () => {
  it("come back as they were written", () => {
    const values = fc.tuple(
      int(-128, 127),
      int(-32_768, 32_767),
      int(-(2 ** 31), 2 ** 31 - 1),
      int(0, 2 ** 32 - 1),
      int(-(2 ** 52), 2 ** 52),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.option(fc.string({ unit: "grapheme" }), { nil: null }),
      fc.array(int(0, 99)),
    );
    fc.assert(
      fc.property(values, ([i8, i16, i32, u32, i64, id, text, list]) => {
        const out = new WireWriter();
        out.int8(i8).int16(i16).int32(i32).varint(i32).uvarint(u32).int64(i64).int64(id).text(text).compactText(text);
        out
          .array(list, (n) => out.int8(n))
          .compactArray(list, (n) => out.int8(n))
          .noTags()
          .bool(true);
        const from = new WireReader(Buffer.from(out.bytes));
        expect([from.int8(), from.int16(), from.int32(), from.varint(), from.uvarint()]).toEqual([
          i8,
          i16,
          i32,
          i32,
          u32,
        ]);
        expect([from.int64(), from.id64(), from.text(), from.compactText()]).toEqual([i64, id, text, text]);
        expect([from.array(() => from.int8()), from.compactArray(() => from.int8())]).toEqual([list, list]);
        from.skipTags();
        expect([from.bool(), from.left]).toEqual([true, 0]);
      }),
    );
  });
  it("varints are as long as was said", () => {
    fc.assert(fc.property(int(-(2 ** 31), 2 ** 31 - 1), (n) => new WireWriter().varint(n).length === varintSize(n)));
  });
  it("that end too early, or lie about their length, are an error", () => {
    expect(() => new WireReader(Buffer.from([0, 0])).int32()).toThrow(WireError);
    expect(() => new WireReader(Buffer.from([0x7f, 0xff, 0xff, 0xff])).array(() => 0)).toThrow(WireError);
    expect(() => new WireReader(Buffer.alloc(9, 0xff)).uvarint()).toThrow(WireError);
    expect(() => new WireReader(Buffer.alloc(12, 0xff)).skipVarlong()).toThrow(WireError);
    expect(() => new WireReader(Buffer.from([0, 5, 65])).text()).toThrow(WireError);
  });
});
