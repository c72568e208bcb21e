import Testing

@testable import Origin

@Suite struct BodySliceTests {
  @Test func cuttingIsCuttingTheBytes() throws {
    let folder = try StoreFolder()
    let seed = UInt64.random(in: .min ... .max)
    var random = ConfigRandom(seed: seed)
    let stored = random.bytes(5000)
    let file = try folder.blob(stored)
    for _ in 0..<400 {
      var slices: [BodySlice] = []
      for _ in 0..<Int.random(in: 0...7, using: &random) {
        let lower = Int.random(in: 0...stored.count, using: &random)
        let count = Int.random(in: 0...min(300, stored.count - lower), using: &random)
        if Bool.random(using: &random) {
          slices.append(.blob(file, offset: UInt64(lower), count: UInt64(count)))
        } else {
          var slice = BodySlice.bytes(stored)
          slice.offset = UInt64(lower)
          slice.count = UInt64(count)
          slices.append(slice)
        }
      }
      let whole = try slices.bytes()
      #expect(try slices.cut(0, UInt64(whole.count)).bytes() == whole)
      for _ in 0..<8 {
        let lower = Int.random(in: 0...whole.count, using: &random)
        let upper = Int.random(in: lower...whole.count, using: &random)
        let cut = slices.cut(UInt64(lower), UInt64(upper))
        #expect(try cut.bytes() == Array(whole[lower..<upper]), "seed \(seed), \(lower)..<\(upper)")
        // Cutting copies nothing: a part of a blob stays one.
        #expect(cut.count <= slices.count)
      }
    }
  }

  @Test func nothingOfNothing() throws {
    #expect([BodySlice]().cut(0, 0).isEmpty)
    #expect(try [BodySlice.bytes([1, 2, 3])].cut(2, 2).bytes().isEmpty)
  }

  @Test func anAnswerLeavesEmptySlicesOut() throws {
    let answer = Representation.of([.bytes([]), .bytes([1]), .bytes([]), .bytes([2]), .bytes([])])
    #expect(answer.slices.count == 2)
    #expect(answer.lengthBytes == 2)
    #expect(try answer.slices.bytes() == [1, 2])
  }
}
