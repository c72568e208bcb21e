// Subtitles become renditions of their own, each one WebVTT file, whatever they came as: a file beside the media, a
// track of the media's MP4, or cues that `headwater-media` found in another container.
//
// A file that is named on the command line must be readable, or nothing is imported. A track inside media that cannot
// be read is a defect of the media.

import Packaging
import Store

/// A subtitle file beside the media: WebVTT, SubRip or SSA.
public struct SidecarSubtitle: Sendable, Equatable {
  /// BCP 47.
  public var language: String
  public var path: String

  /// Nil where the language is no tag. ISO 639-2 codes become the tag they stand for.
  public init?(language: String, path: String) {
    guard let tag = LanguageTag.of(language) else { return nil }
    self.language = tag
    self.path = path
  }

  /// The subtitles in the file.
  func read() throws(IngestError) -> IngestedSubtitle {
    let name = String(path.split(separator: "/").last ?? "file")
    let bytes: [UInt8]
    do throws(StoreError) {
      bytes = try BlobFile(path: path).readAll(limitBytes: SubtitleDocument.largestBytes)
    } catch {
      throw IngestError(code: "unreadable", message: "\(name): \(error)")
    }
    guard let format = SubtitleFormat.probe(bytes) else {
      throw IngestError(
        code: "subtitle-refused", message: "\(name): it holds no subtitles of WebVTT, SubRip or SSA")
    }
    do throws(MediaError) {
      let parsed = try SubtitleDocument.parse(bytes, format: format, language: language)
      return IngestedSubtitle(document: parsed.document, defects: parsed.defects)
    } catch {
      throw IngestError(code: "subtitle-refused", message: "\(name): \(error.message) [\(error.code)]")
    }
  }
}

/// Subtitles on their way into the store.
struct IngestedSubtitle {
  var document: SubtitleDocument
  /// What was wrong with a file of their own.
  var defects: [Defect] = []

  /// What `headwater-media` found in another container. A track without a readable line is none.
  static func inside(_ report: RemuxReport, defects: inout [Defect]) -> [IngestedSubtitle] {
    report.subtitles.compactMap { track in
      let cues = cues(of: track)
      guard !cues.isEmpty else { return nil }
      do throws(MediaError) {
        return IngestedSubtitle(
          document: try SubtitleDocument(
            language: track.language.flatMap { LanguageTag.of($0) } ?? "und", name: track.title ?? "",
            isForced: track.isForced, cues: cues))
      } catch {
        defects.append(
          Defect(code: "subtitle-left-out", message: "track \(track.streamIndex): \(error.message)"))
        return nil
      }
    }
  }

  /// How long a text is shown where nothing says it, unless the next one comes before.
  private static let unknownMilliseconds: Int64 = 5000

  private static func cues(of track: RemuxReport.Subtitles) -> [SubtitleCue] {
    track.cues.enumerated().compactMap { index, cue in
      var end = cue.endMilliseconds
      if end <= cue.startMilliseconds {
        let next = index + 1 < track.cues.count ? track.cues[index + 1].startMilliseconds : .max
        let longest = cue.startMilliseconds.addingReportingOverflow(unknownMilliseconds)
        end = next > cue.startMilliseconds ? min(next, longest.partialValue) : longest.partialValue
      }
      let (start, until) = (UInt64(max(0, cue.startMilliseconds)), UInt64(max(0, end)))
      let text = Array(cue.text.utf8)
      switch track.format {
      case .subrip:
        return .fromSubRip(text: text, startMilliseconds: start, endMilliseconds: until)
      case .ass:
        return .fromASS(dialogueFields: text, startMilliseconds: start, endMilliseconds: until)
      case .webvtt:
        return SubtitleCue(
          startMilliseconds: start, endMilliseconds: until, settings: cue.settings, text: cue.text)
      case .movText:
        // As it stands in a sample: its length in two bytes, then the text.
        guard text.count <= 0xFFFF else { return nil }
        let sample = [UInt8(text.count >> 8), UInt8(text.count & 0xFF)] + text
        return .fromTX3G(sample: sample, startMilliseconds: start, endMilliseconds: until)
      }
    }
  }

  /// The text tracks of an MP4.
  static func inside(_ movie: Movie, _ file: FileBytes, defects: inout [Defect]) -> [IngestedSubtitle] {
    movie.textTracks.compactMap { text in
      do throws(MediaError) {
        let parsed = try SubtitleTrackReader.read(text, from: file)
        defects += parsed.defects.map {
          Defect(code: $0.code, message: "track \(text.track.id): \($0.message)")
        }
        return IngestedSubtitle(document: parsed.document)
      } catch {
        // Many films have a track of text without a line.
        if error.code != "no-cues" {
          defects.append(
            Defect(code: "subtitle-left-out", message: "track \(text.track.id): \(error.message)"))
        }
        return nil
      }
    }
  }
}

extension Ingest {
  /// Stores subtitles as WebVTT files. The records have no name yet.
  func storeSubtitles(
    _ subtitles: [IngestedSubtitle], _ name: String
  ) throws(IngestError) -> [RenditionRecord] {
    var records: [RenditionRecord] = []
    for subtitle in subtitles {
      let document = subtitle.document
      let staged = try storing(name) { () throws(StoreError) in
        let writer = try store.blobs.makeWriter()
        try writer.write(document.bytes())
        return try writer.finish()
      }
      records.append(
        RenditionRecord(
          name: "", kind: .subtitle, blob: staged.id,
          language: document.language == "und" ? nil : document.language,
          label: document.name.isEmpty ? nil : document.name, isForced: document.isForced))
    }
    return records
  }
}
