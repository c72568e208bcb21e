import Origin
import Testing

@testable import RedisCachePlugin

/// A memory within a budget.
@Suite struct MetadataMemoryTests {
  private func entry(_ bytes: Int) -> MetadataMemory.Entry {
    MetadataMemory.Entry(
      facts: VideoFacts(json: [UInt8](repeating: 0x20, count: bytes), rights: .unrestricted), freshUntil: 5,
      usableUntil: 10, staleUntil: 15)
  }

  @Test func staysWithinItsBudgetAndKeepsWhatIsUsed() {
    var memory = MetadataMemory(budgetBytes: 100_000)
    memory["loved"] = entry(1000)
    for number in 0..<1000 {
      memory["film-\(number)"] = entry(1000)
      #expect(memory["loved"] != nil)
      #expect(memory.usedBytes <= memory.budgetBytes)
    }
    #expect(memory.count < 100)
    #expect(memory["film-999"] != nil)
  }

  @Test func whatIsTooLargeIsNotKept() {
    var memory = MetadataMemory(budgetBytes: 10_000)
    memory["film"] = entry(100)
    memory["film"] = entry(5000)
    #expect(memory["film"] == nil)
    #expect(memory.usedBytes == 0 && memory.count == 0)
  }

  @Test func agingKeepsWhatIsKnown() {
    var memory = MetadataMemory(budgetBytes: 10_000)
    memory["film"] = entry(100)
    memory.age()
    #expect(memory["film"]?.freshUntil == 0)
    #expect(memory["film"]?.usableUntil == 10)
  }
}
