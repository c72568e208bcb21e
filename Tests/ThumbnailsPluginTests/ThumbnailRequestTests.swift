import Packaging
import Testing

@testable import ThumbnailsPlugin

/// Names below an asset, and the parameters that choose among their answers.
@Suite struct ThumbnailRequestTests {
  @Test(arguments: [
    ("poster.jpg", ThumbnailRequest.poster(.jpeg, widthPixels: nil)),
    ("poster.webp?w=640", .poster(.webp, widthPixels: 640)),
    ("thumb_0.jpg", .thumbnail(milliseconds: 0, .jpeg, widthPixels: nil, isExact: false)),
    ("thumb_12000.webp?w=320", .thumbnail(milliseconds: 12000, .webp, widthPixels: 320, isExact: false)),
    ("thumb_7.jpg?w=0&exact=1", .thumbnail(milliseconds: 7, .jpeg, widthPixels: 0, isExact: true)),
    ("storyboard.vtt", .storyboardText(.webVTT)), ("storyboard.m3u8", .storyboardText(.playlist)),
    ("storyboard.json", .storyboardText(.index)), ("storyboard_0.jpg", .sheet(0)),
    ("storyboard_41.jpg", .sheet(41)), ("trick_320.bif", .trickPlay(widthPixels: 320)),
  ])
  func aNameIsUnderstood(name: String, expected: ThumbnailRequest) {
    #expect(ThumbnailRequest(name: name) == expected)
  }

  @Test(arguments: [
    "", "poster", "poster.png", "Poster.jpg", "thumb_.jpg", "thumb_01.jpg", "thumb_-1.jpg", "thumb_1.5.jpg",
    "thumb_12345678901.jpg", "thumb_1.jpeg", "storyboard_.jpg", "storyboard_00.jpg", "storyboard_1.webp",
    "storyboard.txt", "trick_.bif", "trick_0320.bif", "a/poster.jpg", ".jpg", "thumb_٣.jpg",
    "subtitle-en.vtt",
  ])
  func otherNamesAreLeftToOthers(name: String) {
    #expect(ThumbnailRequest(name: name) == nil)
  }

  private func parameters(_ query: String, _ path: String = "/v/film/thumb_12.jpg") -> String? {
    let (query, path) = (Array(query.utf8), Array(path.utf8))
    var name: [UInt8] = []
    let isWritten = ThumbnailParameters().writeParameters(in: query.span, of: path.span, to: &name)
    #expect(isWritten || name.isEmpty)
    return isWritten ? String(decoding: name, as: UTF8.self) : nil
  }

  @Test func equalWishesHaveOneName() {
    #expect(parameters("w=320") == "w=320")
    #expect(parameters("expires=1&w=320&sig=x") == "w=320")
    #expect(parameters("exact=1&w=320") == "w=320&exact=1")
    #expect(parameters("exact=1") == "exact=1")
    #expect(parameters("w=320", "/v/a/g/0123456789ab/poster.webp") == "w=320")
    // What is no width is one wrong width.
    for query in ["w=", "w=x", "w=032", "w=-1", "w=123456", "w=1&w=2", "w=3 2"] {
      #expect(parameters(query) == "w=0", "\(query)")
    }
    for query in ["", "W=320", "width=320", "exact=0", "expires=1&kid=2", "&&", "aw=1"] {
      #expect(parameters(query) == nil, "\(query)")
    }
    for path in [
      "/v/film/master.m3u8", "/f/thumb_1.jpg", "/poster.jpg", "/", "/v/f/xposter.jpg",
      "/v/f/storyboard_0.jpg",
    ] {
      #expect(parameters("w=320", path) == nil, "\(path)")
    }
  }
}
