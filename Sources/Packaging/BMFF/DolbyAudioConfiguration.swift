// AC-3 and Enhanced AC-3 in MP4 (ETSI TS 102 366 Annex F).
//
// `dac3`, three bytes:
//
//     fscod 2   bsid 5   bsmod 3   acmod 3   lfeon 1   bit_rate_code 5   reserved 5
//
// `dec3`: data_rate 13, number of independent substreams less one 3, and for each of them
//
//     fscod 2   bsid 5   0 1   asvc 1   bsmod 3   acmod 3   lfeon 1   reserved 3   num_dep_sub 4
//     chan_loc 9 where num_dep_sub is above 0, else reserved 1
//
// then, where bytes are left (ETSI TS 103 420): reserved 7, a flag for joint object coding, its complexity 8.
//
// Independent substreams are programmes of which a player plays the first. Its dependent substreams add speakers to its
// own, at most 5.1: `chan_loc` names them, lowest bit first, in the order in which the speaker mask has them.

/// What `dac3` or `dec3` says of the sound.
struct DolbyAudioConfiguration: Equatable {
  /// 0 where the box does not say: the reduced rates of E-AC-3 are known to the stream alone.
  var sampleRateHertz: UInt32
  /// The speakers as ETSI TS 102 366 Table E.1.4 numbers them, left at the highest bit: F801 is 5.1.
  var speakers: UInt16
  /// Joint object coding (Dolby Atmos): its complexity index, the number of objects. 0 for sound without.
  var objectComplexity: UInt8 = 0

  /// Pairs are one bit and two channels.
  var channelCount: UInt16 {
    UInt16(speakers.nonzeroBitCount + (speakers & Self.pairs).nonzeroBitCount)
  }

  /// Lc/Rc, Lrs/Rrs, Lsd/Rsd, Lw/Rw, Lvh/Rvh, Lts/Rts.
  private static let pairs: UInt16 = 0x0674

  /// Speakers for each `acmod` (§4.4.2.3). 0 is two mono channels, which players put left and right; a single surround
  /// channel is the one behind the listener.
  private static let speakersByMode: [UInt16] = [
    0xA000, 0x4000, 0xA000, 0xE000, 0xA100, 0xE100, 0xB800, 0xF800,
  ]

  private static let rates: [UInt32] = [48000, 44100, 32000, 0]

  /// The body of `dac3`.
  init?(ac3 body: Span<UInt8>) {
    var reader = BitReader(body)
    let rate = Self.rates[Int(reader.bits(2))]
    let bitstream = reader.bits(5)
    reader.skip(3)
    let mode = Int(reader.bits(3))
    let hasLowFrequency = reader.flag()
    reader.skip(10)
    // Identifications 9 and 10 halve and quarter the rate; beyond, it is not AC-3.
    guard !reader.isExhausted, rate > 0, bitstream <= 10 else { return nil }
    sampleRateHertz = bitstream > 8 ? rate >> (bitstream - 8) : rate
    speakers = Self.speakersByMode[mode] | (hasLowFrequency ? 1 : 0)
  }

  /// The body of `dec3`.
  init?(eac3 body: Span<UInt8>) {
    var reader = BitReader(body)
    reader.skip(13)
    let programmes = reader.bits(3)
    sampleRateHertz = 0
    speakers = 0
    for programme in 0...programmes {
      let rate = Self.rates[Int(reader.bits(2))]
      let bitstream = reader.bits(5)
      reader.skip(1 + 1 + 3)
      var found = Self.speakersByMode[Int(reader.bits(3))]
      if reader.flag() { found |= 1 }
      reader.skip(3)
      if reader.bits(4) > 0 {
        let added = UInt16(reader.bits(9))
        for bit in UInt16(0)..<8 where added & 1 << bit != 0 { found |= 0x0400 >> bit }
        if added & 0x100 != 0 { found |= 2 }
      } else {
        reader.skip(1)
      }
      guard !reader.isExhausted, bitstream <= 16 else { return nil }
      if programme == 0 {
        sampleRateHertz = rate
        speakers = found
      }
    }
    if reader.bitsLeft >= 16 {
      reader.skip(7)
      if reader.flag() { objectComplexity = UInt8(reader.bits(8)) }
    }
  }

  /// What the sample entry of an AC-3 or E-AC-3 track says; nil for any other track.
  init?(_ track: Track) {
    let isEnhanced = track.codec == .eac3
    guard isEnhanced || track.codec == .ac3,
      let bytes = AudioSampleEntry.configuration(of: track, isEnhanced ? FourCC("dec3") : FourCC("dac3"))
    else { return nil }
    var reader = BoxReader(bytes.span)
    guard let body = reader.box()?.body else { return nil }
    if isEnhanced { self.init(eac3: body) } else { self.init(ac3: body) }
  }
}
