import Origin
import Testing

@Suite struct ConfigUnitsTests {
  @Test(arguments: [
    ("0s", 0), ("250ms", 250), ("6s", 6_000), ("90m", 5_400_000), ("1h30m", 5_400_000), ("24h", 86_400_000),
    ("7d", 604_800_000), ("365d", 31_536_000_000), ("1d2h3m4s5ms", 93_784_005), ("007s", 7_000),
    ("9223372036854775807ms", Int.max),
  ]) func durations(_ text: String, _ milliseconds: Int) throws {
    #expect(try ConfigDuration.parse(text) == milliseconds)
  }

  @Test(
    arguments: [
      ("6", "6s"), ("90", "90s"), ("6sec", "6s"), ("6S", "6s"), ("6 s", "6s"), ("10min", "10m"),
      ("2Hours", "2h"),
      ("1,000ms", "1s"), ("1.5h", "1h30m"), ("0.25s", "250ms"), ("1y", "365d"), ("2w", "14d"),
      ("30m1h", "1h30m"),
      ("1s1s", "2s"), ("500msec", "500ms"), ("1M", "1m"), ("", nil), ("s", nil), ("-6s", nil), ("6x", nil),
      ("six seconds", nil), ("٦s", nil), ("1.s", nil), (".5s", nil), ("1.0000000001s", nil), ("1e3s", nil),
    ] as [(String, String?)]) func refusedDurations(_ text: String, _ suggestion: String?)
  {
    #expect {
      try ConfigDuration.parse(text)
    } throws: { error in
      (error as? ConfigUnitError)?.suggestion == suggestion
    }
  }

  @Test(arguments: [
    ("0B", 0), ("512B", 512), ("64KiB", 65_536), ("10MiB", 10_485_760), ("1GB", 1_000_000_000),
    ("64GiB", 68_719_476_736), ("16TiB", 17_592_186_044_416), ("5KB", 5_000),
  ]) func sizes(_ text: String, _ bytes: Int) throws {
    #expect(try ConfigSize.parse(text) == bytes)
  }

  @Test(
    arguments: [
      ("10", "10B"), ("1048576", "1MiB"), ("10mib", "10MiB"), ("10M", "10MiB"), ("10k", "10KiB"),
      ("10 MB", "10MB"),
      ("1.5GiB", "1536MiB"), ("5kb", "5KB"), ("12bytes", "12B"), ("1MiB512KiB", nil), ("", nil), ("MiB", nil),
      ("-1B", nil), ("10PiB", nil), ("0x10B", nil),
    ] as [(String, String?)]) func refusedSizes(_ text: String, _ suggestion: String?)
  {
    #expect {
      try ConfigSize.parse(text)
    } throws: { error in
      (error as? ConfigUnitError)?.suggestion == suggestion
    }
  }

  @Test(arguments: [
    "9223372036854775808ms", "99999999999999999999s", "106751991168d", "9223372036854775807ms1d",
  ])
  func durationsBeyondTheIntegersAreRefused(_ text: String) {
    #expect(throws: ConfigUnitError.self) { try ConfigDuration.parse(text) }
  }

  @Test(arguments: ["9223372036854775808B", "8388608TiB", "99999999999999999999999GiB"])
  func sizesBeyondTheIntegersAreRefused(_ text: String) {
    #expect(throws: ConfigUnitError.self) { try ConfigSize.parse(text) }
  }

  /// A suggestion that is refused itself would be worse than none.
  @Test func suggestionsAreAlwaysRight() throws {
    let seed: UInt64 = 0x5EED_0001
    var random = ConfigRandom(seed: seed)
    let alphabet = Array("0123456789 .,smhdwyKMGTiBkb-")
    for _ in 0..<3_000 {
      let length = Int.random(in: 0...8, using: &random)
      let text = String((0..<length).map { _ in alphabet.randomElement(using: &random) ?? "0" })
      do throws(ConfigUnitError) {
        let amount = try ConfigDuration.parse(text)
        #expect(amount >= 0, "seed \(seed)")
      } catch {
        if let suggestion = error.suggestion {
          #expect(throws: Never.self, "\(text), seed \(seed)") { try ConfigDuration.parse(suggestion) }
        }
      }
      do throws(ConfigUnitError) {
        let amount = try ConfigSize.parse(text)
        #expect(amount >= 0, "seed \(seed)")
      } catch {
        if let suggestion = error.suggestion {
          #expect(throws: Never.self, "\(text), seed \(seed)") { try ConfigSize.parse(suggestion) }
        }
      }
    }
  }

  @Test func whatIsRenderedParsesToTheSame() throws {
    let seed: UInt64 = 0x5EED_0002
    var random = ConfigRandom(seed: seed)
    for _ in 0..<1_000 {
      let amount = Int(random.next() >> UInt64.random(in: 1...63, using: &random))
      let duration = ConfigDuration.render(milliseconds: amount)
      let size = ConfigSize.render(bytes: amount)
      #expect(try ConfigDuration.parse(duration) == amount, "seed \(seed)")
      #expect(try ConfigSize.parse(size) == amount, "seed \(seed)")
    }
    #expect(ConfigDuration.render(milliseconds: 5_400_000) == "1h30m")
    #expect(ConfigDuration.render(milliseconds: 0) == "0s")
    #expect(ConfigSize.render(bytes: 1_048_576) == "1MiB")
    #expect(ConfigSize.render(bytes: 0) == "0B")
  }

  @Test func messagesSayWhatIsMeant() {
    #expect {
      try ConfigDuration.parse("6sec")
    } throws: { error in
      "\(error)" == "\"6sec\" is not a duration such as \"6s\"; did you mean \"6s\"?"
    }
  }
}
