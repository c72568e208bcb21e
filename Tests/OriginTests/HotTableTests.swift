import Testing

@testable import Origin

@Suite struct HotTableTests {
  private func answer(_ sizeBytes: Int, until: Int64? = nil) -> Representation {
    .of([.bytes([UInt8](repeating: 7, count: sizeBytes))], validUntilSeconds: until)
  }

  private func look(_ table: inout HotTable, _ path: String, site: Int = 0, now: Int64 = 0) -> Representation?
  {
    let bytes = Array(path.utf8)
    return table.representation(site: site, path: bytes.span, nowSeconds: now)
  }

  private func follow(_ table: inout HotTable, _ transaction: UInt64) -> Bool { table.follow(transaction) }

  @Test func findsWhatWasPutInBySiteAndPath() {
    var table = HotTable()
    let first = answer(1)
    let second = answer(2)
    table.insert(first, site: 0, path: Array("/a".utf8))
    table.insert(second, site: 1, path: Array("/a".utf8))
    #expect(look(&table, "/a", site: 0) === first)
    #expect(look(&table, "/a", site: 1) === second)
    #expect(look(&table, "/a", site: 2) == nil)
    #expect(look(&table, "/b") == nil)
    #expect(look(&table, "/") == nil)
    let newer = answer(3)
    table.insert(newer, site: 0, path: Array("/a".utf8))
    #expect(look(&table, "/a", site: 0) === newer)
  }

  @Test func forgetsEverythingWhenTheCatalogMoves() {
    var table = HotTable()
    #expect(follow(&table, 7))
    table.insert(answer(1), site: 0, path: Array("/a".utf8))
    #expect(!follow(&table, 7))
    #expect(look(&table, "/a") != nil)
    // Another process may even restore an older catalog: any other number is a change.
    #expect(follow(&table, 6))
    #expect(look(&table, "/a") == nil)
  }

  @Test func anAnswerThatAgesIsGoneOnTime() {
    var table = HotTable()
    table.insert(answer(1, until: 100), site: 0, path: Array("/a".utf8))
    #expect(look(&table, "/a", now: 99) != nil)
    #expect(look(&table, "/a", now: 100) == nil)
    #expect(look(&table, "/a", now: 99) == nil)
  }

  @Test func whatIsMadeAgainIsKeptInOnePiece() throws {
    var table = HotTable(assemblyBudgetBytes: 100_000)
    let path = Array("/a".utf8)
    func isMadeAgain(_ path: String, site: Int = 0) -> Bool {
      table.isMadeAgain(site: site, path: Array(path.utf8))
    }
    #expect(!isMadeAgain("/a") && !isMadeAgain("/b") && !isMadeAgain("/a", site: 1))
    #expect(isMadeAgain("/a") && isMadeAgain("/a"))
    let made = answer(10_000)
    let inserted = table.insertForAssembly(made, site: 0, path: path)
    let wish = try #require(inserted)
    #expect(look(&table, "/a") === made)
    let assembled = try #require(Assembly.assemble(made))
    table.fulfil(wish, with: assembled)
    #expect(look(&table, "/a") === assembled)
    #expect(assembled.etag == made.etag && assembled.lengthBytes == made.lengthBytes)
    // The catalog moves: what was made before it is as if it had never been.
    #expect(follow(&table, 9) && look(&table, "/a") == nil && !isMadeAgain("/a"))
    // Without a budget nothing is noted, and nothing larger than what is assembled is taken.
    table.assemblyBudgetBytes = 0
    #expect(!isMadeAgain("/c") && !isMadeAgain("/c"))
    let large = answer(Int(Assembly.maximumBytes) + 1)
    let refused = table.insertForAssembly(large, site: 0, path: path)
    #expect(refused == nil)
  }

  @Test func whatWasUsedLongestAgoGoesFirst() {
    var table = HotTable(budgetEntries: 8)
    for number in 0..<8 { table.insert(answer(1), site: 0, path: Array("/\(number)".utf8)) }
    _ = look(&table, "/0")
    table.insert(answer(1), site: 0, path: Array("/new".utf8))
    #expect(look(&table, "/0") != nil)
    #expect(look(&table, "/new") != nil)
    #expect(look(&table, "/1") == nil)
  }

  @Test func anAnswerTooLargeForTheTableStaysOut() {
    var table = HotTable(budgetBytes: 40_000)
    table.insert(answer(20_000), site: 0, path: Array("/large".utf8))
    #expect(look(&table, "/large") == nil)
    table.insert(answer(5_000), site: 0, path: Array("/small".utf8))
    #expect(look(&table, "/small") != nil)
  }

  /// Whatever is put in, what can still be found costs no more than the budget.
  @Test func keepsToItsBudget() {
    let seed = UInt64.random(in: .min ... .max)
    var random = ConfigRandom(seed: seed)
    var table = HotTable(budgetBytes: 64_000, budgetEntries: 64)
    var paths: [String] = []
    for number in 0..<600 {
      let isLarge = number % 100 > 90
      let size = isLarge ? 15_000 : Int.random(in: 0...200, using: &random)
      paths.append("/\(number)")
      table.insert(answer(size), site: 0, path: Array("/\(number)".utf8))
      var held = 0
      var count = 0
      // Looking changes the order of use: a copy is looked into.
      var copy = table
      for path in paths {
        guard let found = look(&copy, path) else { continue }
        held += found.costBytes
        count += 1
      }
      #expect(held <= 64_000 && count <= 64, "seed \(seed), after \(number)")
      #expect(look(&table, "/\(number)") != nil, "seed \(seed): what was just put in is there")
    }
  }
}

@Suite struct RecentTableTests {
  /// Looking is using, and so changes the table.
  private func look<Value>(_ table: inout RecentTable<Int, Value>, _ key: Int) -> Value? { table[key] }

  @Test func isADictionary() {
    var table = RecentTable<Int, String>(limit: 4)
    #expect(look(&table, 1) == nil)
    table[1] = "one"
    #expect(look(&table, 1) == "one")
    table[1] = "uno"
    #expect(look(&table, 1) == "uno")
    table[1] = nil
    #expect(look(&table, 1) == nil)
    table[2] = "two"
    table.removeAll()
    #expect(look(&table, 2) == nil)
  }

  @Test(arguments: [1, 2, 3, 8, 100]) func neverHoldsMoreThanItsLimit(limit: Int) {
    var table = RecentTable<Int, Int>(limit: limit)
    for number in 0..<(limit * 5) {
      table[number] = number
      let found = table[number]
      #expect(found == number)
      var copy = table
      var held = 0
      for key in 0...number where copy[key] != nil { held += 1 }
      #expect(held <= limit)
    }
  }

  @Test func keepsWhatIsUsed() {
    var table = RecentTable<Int, Int>(limit: 8)
    for number in 0..<1000 {
      table[number] = number
      if number > 0 { #expect(look(&table, 0) == 0) }
    }
  }

  @Test func replacingAtTheLimitDropsNothing() {
    var table = RecentTable<Int, Int>(limit: 4)
    for number in 0..<4 { table[number] = number }
    table[3] = 33
    for number in 0..<3 { #expect(look(&table, number) == number) }
  }
}
