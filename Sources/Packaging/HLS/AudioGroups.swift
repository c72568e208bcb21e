// The audio groups of a multivariant playlist, after RFC 8216bis §4.4.6.1.1.
//
// A group is one coding with one number of channels (stereo AAC, 5.1 AAC, 5.1 AC-3), so that a player can choose by
// CODECS and CHANNELS before it loads anything. Its members are works: the film in each language, a commentary.
// All groups must have the same members, with the same names, in whatever coding. So where a group has no rendition of
// a work, the first rendition there is of it fills the place: English in 5.1, with the Czech of the stereo group.
// Groups that come out with the same renditions are one.
//
// In a group names are unique, the first member is the default, and of several members with one language
// only the first is selected automatically, as the same section demands.

/// One group of sound.
struct AudioGroup {
  struct Member {
    /// Its place among all renditions of sound.
    var index: Int
    var rendition: PresentationRendition
    var work: AudioWork
    /// Its name as a quoted string, unique in the group.
    var quotedName: [UInt8]
  }

  var identifier: String
  /// Never empty.
  var members: [Member]
  /// `index` of the sound that is in the variant's own stream, whether or not it is a member.
  var muxedMember: Int?

  var codecStrings: [String] {
    members.reduce(into: []) { codecs, member in
      let codec = member.rendition.track.codecString
      if !codecs.contains(codec) { codecs.append(codec) }
    }
  }

  /// The groups of `renditions`, which are all sound, in their order.
  static func groups(of renditions: [PresentationRendition]) -> [AudioGroup] {
    let members = members(renditions)
    let works = members.reduce(into: [Member]()) { firsts, member in
      if !firsts.contains(where: { $0.work == member.work }) { firsts.append(member) }
    }
    var groups: [AudioGroup] = []
    var codings: [AudioCoding] = []
    for rendition in renditions {
      let coding = AudioCoding(rendition.track)
      guard !codings.contains(coding) else { continue }
      codings.append(coding)
      let own = members.filter { AudioCoding($0.rendition.track) == coding }
      let group = AudioGroup(
        identifier: "audio-\(coding.codecString)-\(coding.channelCount)",
        members: works.map { first in own.first { $0.work == first.work } ?? first })
      let indices = group.members.map(\.index)
      if !groups.contains(where: { $0.members.map(\.index) == indices }) { groups.append(group) }
    }
    return groups
  }

  /// Each rendition with its work and the name that the work has in every group.
  private static func members(_ renditions: [PresentationRendition]) -> [Member] {
    var names = UniqueNames()
    var members: [Member] = []
    for (index, (rendition, work)) in zip(renditions, AudioWork.works(of: renditions)).enumerated() {
      let known = members.first { $0.work == work }?.quotedName
      let name =
        known
        ?? names.quoted([rendition.label, work.language == nil ? nil : rendition.track.language, "Audio"])
      members.append(Member(index: index, rendition: rendition, work: work, quotedName: name))
    }
    return members
  }
}

/// The names of a group, each as the quoted string that is written, so that two names which only differ in what a
/// quoted string cannot hold are told apart as well.
struct UniqueNames {
  private var used: [[UInt8]] = []

  /// The first of `wishes` that says anything, with the first number from 2 that makes it unique.
  mutating func quoted(_ wishes: [String?]) -> [UInt8] {
    let wish = wishes.compactMap { $0 }.first { Self.quoted($0).contains { $0 != 0x20 && $0 != 0x22 } } ?? "?"
    var name = Self.quoted(wish)
    var number = 2
    while used.contains(name) {
      name = Self.quoted("\(wish) \(number)")
      number += 1
    }
    used.append(name)
    return name
  }

  private static func quoted(_ text: String) -> [UInt8] {
    var writer = TextWriter(capacityBytes: text.utf8.count + 2)
    writer.quoted(text)
    return writer.bytes
  }
}
