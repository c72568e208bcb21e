// The boxes of movie fragments (ISO/IEC 14496-12 §8.8).
//
//   moov / mvex / mehd          length of the whole, where the writer knew it
//               / trex          one a track: values for samples whose fragments do not state them
//   moof / mfhd                 sequence number, of no use here
//        / traf / tfhd          which track, where its data lie, values for the samples of this fragment
//               / tfdt          decode time of the first sample
//               / trun …        runs of samples whose bytes lie one behind the other
//
// A value of a sample (duration, size, flags) is the one its run states, else that of `tfhd`, else that of `trex`.

/// What `mvex` says (§8.8.1): values for all fragments.
struct MovieExtends {
  /// By track number.
  var defaults: [UInt32: TrackExtendsBox] = [:]
  /// `mehd` states the length of the whole, so `moov` was written by someone who knew all fragments.
  var knowsDuration = false

  /// At most `limit` tracks are read.
  init(_ body: Span<UInt8>, limit: Int) {
    var reader = BoxReader(body)
    while defaults.count < limit, let box = reader.box() {
      guard let full = box.fullBox() else { continue }
      switch box.type {
      case FourCC("trex"):
        if let track = TrackExtendsBox(full) { defaults[track.trackID] = track }
      case FourCC("mehd"):
        var fields = BoxReader(full.body)
        let duration = full.version == 1 ? fields.u64() : fields.u32().map(UInt64.init)
        knowsDuration = (duration ?? 0) > 0
      default: break
      }
    }
  }
}

/// `trex` (§8.8.3).
struct TrackExtendsBox: Equatable {
  var trackID: UInt32
  /// Number of the sample entry, from 1.
  var descriptionNumber: UInt32
  var durationTicks: UInt32
  var sizeBytes: UInt32
  var flags: UInt32

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let trackID = reader.u32(), let descriptionNumber = reader.u32(), let duration = reader.u32(),
      let size = reader.u32(), let flags = reader.u32()
    else { return nil }
    self.trackID = trackID
    self.descriptionNumber = descriptionNumber
    durationTicks = duration
    sizeBytes = size
    self.flags = flags
  }
}

/// The 32 bits that describe a sample (§8.8.3.1), as far as they matter here.
enum SampleFlags {
  private static let isNonSync: UInt32 = 0x0001_0000
  private static let dependsOn: UInt32 = 0x0300_0000
  private static let dependsOnOthers: UInt32 = 0x0100_0000

  /// Whether a sample with these flags is a sync sample.
  ///
  /// Some writers say only that a picture depends on others and leave the non-sync bit at 0. No sync sample does.
  static func isSync(_ flags: UInt32) -> Bool {
    flags & isNonSync == 0 && flags & dependsOn != dependsOnOthers
  }
}

/// `tfhd` (§8.8.7).
struct TrackFragmentHeaderBox: Equatable {
  var trackID: UInt32
  var baseDataOffset: UInt64?
  var descriptionNumber: UInt32?
  var durationTicks: UInt32?
  var sizeBytes: UInt32?
  var flags: UInt32?
  /// There are no samples for the default duration.
  var durationIsEmpty: Bool
  var baseIsFragment: Bool

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let trackID = reader.u32() else { return nil }
    self.trackID = trackID
    if box.flags & 0x01 != 0 {
      guard let offset = reader.u64() else { return nil }
      baseDataOffset = offset
    }
    // The other optional fields follow in the order of their flags, 32 bits each.
    var fields: [UInt32?] = []
    for flag in [UInt32(0x02), 0x08, 0x10, 0x20] {
      guard box.flags & flag != 0 else {
        fields.append(nil)
        continue
      }
      guard let value = reader.u32() else { return nil }
      fields.append(value)
    }
    descriptionNumber = fields[0]
    durationTicks = fields[1]
    sizeBytes = fields[2]
    flags = fields[3]
    durationIsEmpty = box.flags & 0x01_0000 != 0
    baseIsFragment = box.flags & 0x02_0000 != 0
  }

  /// The header with what it does not state taken from `trex`.
  func completed(by defaults: TrackExtendsBox?) -> TrackFragmentHeaderBox {
    var result = self
    result.descriptionNumber = descriptionNumber ?? defaults?.descriptionNumber
    result.durationTicks = durationTicks ?? defaults?.durationTicks
    result.sizeBytes = sizeBytes ?? defaults?.sizeBytes
    result.flags = flags ?? defaults?.flags
    return result
  }
}

/// `tfdt` (§8.8.12).
struct TrackFragmentDecodeTimeBox: Equatable {
  var decodeTicks: UInt64

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let ticks = box.version == 1 ? reader.u64() : reader.u32().map(UInt64.init) else { return nil }
    decodeTicks = ticks
  }
}

/// `trun` (§8.8.8): a run of samples. A column that is absent reads as nil.
struct TrackRunBox: ~Escapable {
  let count: Int
  /// Where the data start, from the base of the track fragment; nil for behind the run before.
  let dataOffset: Int32?
  private let firstFlags: UInt32?
  private let table: BoxTable
  /// Bytes into an entry at which each column is; nil where it is absent.
  private let durationField: Int?
  private let sizeField: Int?
  private let flagsField: Int?
  private let compositionField: Int?

  /// - Returns: nil when the box does not hold the fields and entries it claims. A run without columns holds
  ///   any count: the caller checks it.
  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32() else { return nil }
    var dataOffset: Int32?
    if box.flags & 0x01 != 0 {
      guard let offset = reader.u32() else { return nil }
      dataOffset = Int32(bitPattern: offset)
    }
    var firstFlags: UInt32?
    if box.flags & 0x04 != 0 {
      guard let flags = reader.u32() else { return nil }
      firstFlags = flags
    }
    var entryBytes = 0
    var fields: [Int?] = []
    for flag in [UInt32(0x100), 0x200, 0x400, 0x800] {
      fields.append(box.flags & flag != 0 ? entryBytes : nil)
      if box.flags & flag != 0 { entryBytes += 4 }
    }
    guard let table = BoxTable(reader.rest(), count: count, entryBytes: entryBytes) else { return nil }
    self.count = Int(count)
    self.dataOffset = dataOffset
    self.firstFlags = firstFlags
    self.table = table
    durationField = fields[0]
    sizeField = fields[1]
    flagsField = fields[2]
    compositionField = fields[3]
  }

  var hasDurations: Bool { durationField != nil }
  var hasSizes: Bool { sizeField != nil }

  // Samples count from 0 and must exist.

  @inline(__always)
  func duration(_ sample: Int) -> UInt32? { durationField.map { table.u32(sample, field: $0) } }

  @inline(__always)
  func size(_ sample: Int) -> UInt32? { sizeField.map { table.u32(sample, field: $0) } }

  /// The first sample may have flags of its own, which override the default.
  @inline(__always)
  func flags(_ sample: Int) -> UInt32? {
    if let flagsField { return table.u32(sample, field: flagsField) }
    return sample == 0 ? firstFlags : nil
  }

  /// Signed in both versions: see `CompositionOffsetBox`.
  @inline(__always)
  func compositionOffset(_ sample: Int) -> Int32 {
    compositionField.map { Int32(bitPattern: table.u32(sample, field: $0)) } ?? 0
  }

  /// Bytes of all samples together. Sizes of a column are added up, a constant one is multiplied.
  func totalBytes(defaultSize: UInt32) -> UInt64 {
    guard hasSizes else { return UInt64(count) * UInt64(defaultSize) }
    var total: UInt64 = 0
    for sample in 0..<count { total += UInt64(size(sample) ?? 0) }
    return total
  }
}
