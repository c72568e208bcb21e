internal import CLibAV
public import Packaging

/// The part of a rung in looking ahead.
enum LookaheadPart {
  case own
  case leads(Lookahead)
  case follows

  var isFollower: Bool { if case .follows = self { true } else { false } }
}

/// Which rungs of a chunk look ahead for which. To be made before `Sandbox.enter`, which forbids to open files.
public struct TranscodeLookaheads {
  private var parts: [Int: LookaheadPart] = [:]

  /// How many descriptors it has opened.
  public private(set) var descriptors: Int32 = 0

  /// Never fails: rungs for which nobody looks ahead do it themselves.
  public init(_ request: TranscodeRequest) {
    guard request.isSound, let colour = request.colour else { return }
    for (kind, members) in Dictionary(
      grouping: request.rungs.indices, by: { RungKind(request.rungs[$0], of: request) })
    where kind.sharesLookahead {
      guard let (leader, followers) = Self.choose(members, request.rungs),
        let lookahead = try? Lookahead(
          request.rungs[leader], of: request, colour: kind.keepsHDR ? colour : .toneMapped)
      else { continue }
      parts[leader] = .leads(lookahead)
      for follower in followers { parts[follower] = .follows }
      descriptors += Lookahead.descriptors
    }
  }

  /// - Parameter track: place of the rung in the request.
  subscript(track: Int) -> LookaheadPart { parts[track] ?? .own }

  /// The leader is the smallest rung that is at least two thirds as high as the largest, where there are others like that; followers
  /// are at least half as high as the leader.
  static func choose(
    _ members: [Int], _ rungs: [TranscodeRequest.Rung]
  ) -> (leader: Int, followers: [Int])? {
    func side(_ member: Int) -> Int32 { min(rungs[member].widthPixels, rungs[member].heightPixels) }
    let largest = members.map(side).max() ?? 0
    let candidates = members.filter { 3 * side($0) >= 2 * largest }
    guard candidates.count > 1, let leader = candidates.min(by: { side($0) < side($1) }) else { return nil }
    return (leader, members.filter { $0 != leader && 2 * side($0) >= side(leader) })
  }
}

/// What rungs have in common that get the same pictures, and of which one can look ahead for others.
struct RungKind: Hashable {
  var frameStep: Int32
  /// Whether they get pictures as they come, and not mapped to standard range.
  var keepsHDR: Bool
  /// Of libx264; nil where another encoder makes them.
  private var preset: String?

  init(_ rung: TranscodeRequest.Rung, of request: TranscodeRequest) {
    frameStep = rung.frameStep
    keepsHDR = rung.keepsHDR || !request.isHDR
    preset =
      !request.isDeep(rung) && (try? EncoderChoice(rung.encoder))?.name == "libx264"
      ? EncoderChoice.x264Preset(rung) : nil
  }

  /// The two fastest presets weigh no macroblocks.
  var sharesLookahead: Bool { preset.map { !["ultrafast", "superfast"].contains($0) } ?? false }
}
