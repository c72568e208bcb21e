import Testing

@testable import Origin

@Suite struct HeaderFieldsTests {
  private func text(_ fields: HeaderFields) -> String { String(decoding: fields.lines(), as: UTF8.self) }

  @Test func fieldsGoOutInTheirOrder() {
    var fields = HeaderFields()
    #expect(fields.lines().isEmpty)
    fields.set("B", "2")
    fields.add("A", "1")
    fields.add("Raw", [0x80, 0xFF])
    #expect(fields.lines() == Array("B: 2\r\nA: 1\r\nRaw: ".utf8) + [0x80, 0xFF, 0x0D, 0x0A])
  }

  @Test func settingReplacesAllOfTheNameAtTheFirstPlace() {
    var fields = HeaderFields()
    fields.add("Link", "1")
    fields.add("Other", "x")
    fields.add("LINK", "2")
    fields.add("link", "3")
    fields.set("lINK", "only")
    #expect(text(fields) == "lINK: only\r\nOther: x\r\n")
    fields.set("New", "")
    #expect(text(fields) == "lINK: only\r\nOther: x\r\nNew: \r\n")
  }

  @Test func namesCompareWithoutRegardToCase() {
    var fields = HeaderFields()
    fields.add("ETag", "1")
    fields.add("etag", "2")
    #expect(fields["ETAG"] == Array("1".utf8))
    #expect(fields["ETa"] == nil)
    #expect(fields["ETagg"] == nil)
    fields.remove("eTaG")
    #expect(fields.fields.isEmpty)
    // Only letters have a case: `@` and a backquote differ by the same bit.
    fields.add("@", "1")
    #expect(fields["`"] == nil)
  }

  @Test func equalityIsOfNamesValuesAndOrder() {
    var first = HeaderFields()
    first.add("A", "1")
    first.add("B", "2")
    var second = HeaderFields()
    second.add("B", "2")
    #expect(first != second)
    second.add("A", "1")
    #expect(first != second)
    second.remove("b")
    second.add("B", "2")
    #expect(first == second)
  }
}
