internal import CLibAV
internal import Packaging

/// Rungs of a chunk that get the same pictures; those that follow get them when something is known of them.
final class RungGroup {
  /// An encoder, and the place of its rung in the request.
  typealias Member = (encoder: RungEncoder, track: Int)
  typealias Take = (_ packet: UnsafeMutablePointer<AVPacket>, _ track: Int) throws(CodecError) -> Void

  let kind: RungKind
  private let independent: [Member]
  private let followers: [Member]
  private let lookahead: Lookahead?
  /// Pictures that followers have not had, in order of presentation.
  private var waiting: [(frame: MediaFrame, isKey: Bool)] = []

  init(_ kind: RungKind, _ members: [Member]) {
    self.kind = kind
    independent = members.filter { !$0.encoder.part.isFollower }
    followers = members.filter(\.encoder.part.isFollower)
    lookahead =
      members.lazy.compactMap { if case .leads(let lookahead) = $0.encoder.part { lookahead } else { nil } }
      .first
  }

  /// - Parameters:
  ///   - frame: nil at the end. It may be held on to, but is not changed.
  ///   - isKey: whether it begins a group of pictures.
  func push(_ frame: MediaFrame?, isKey: Bool, _ take: Take) throws(CodecError) {
    try push(frame, isKey, nil, to: independent, take)
    guard let lookahead else { return }
    if let frame { waiting.append((try frame.reference(), isKey)) }
    var known = 0
    while known < waiting.count, let advice = lookahead.take(waiting[known].frame.pointer.pointee.pts) {
      try push(waiting[known].frame, waiting[known].isKey, advice, to: followers, take)
      known += 1
    }
    waiting.removeFirst(known)
    guard frame == nil else { return }
    guard waiting.isEmpty else { throw .noAdvice }
    try push(nil, false, nil, to: followers, take)
  }

  private func push(
    _ frame: MediaFrame?, _ isKey: Bool, _ advice: PictureAdvice?, to members: [Member], _ take: Take
  ) throws(CodecError) {
    for (encoder, track) in members {
      try encoder.push(frame, isKey: isKey, advice: advice) { packet throws(CodecError) in
        try take(packet, track)
      }
    }
  }
}
