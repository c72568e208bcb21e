/// Playlists and scripts that a media library may follow to other files and hosts, as an attacker uploads them.
public enum Disguise {
  /// - Parameters:
  ///   - file: a path that none of them may open.
  ///   - port: on loopback, that none of them may connect to.
  public static func texts(file: String, port: UInt16) -> [(name: String, bytes: [UInt8])] {
    let web = "http://127.0.0.1:\(port)"
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n"
    let playlist = "\(head)#EXTINF:5,\nfile://\(file)\n#EXT-X-ENDLIST\n"
    let box: [UInt8] = [0, 0, 0, 16] + Array("ftypisom".utf8) + [0, 0, 2, 0]
    let mpd = """
      <?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT5S">
      <Period><AdaptationSet mimeType="video/mp4"><Representation id="a" bandwidth="1"><BaseURL>\(web)/v.mp4</BaseURL>
      </Representation></AdaptationSet></Period></MPD>

      """
    let session = """
      v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video \(port) RTP/AVP 33\r\n
      """
    return [
      ("hls-file", Array(playlist.utf8)),
      ("hls-http", Array("\(head)#EXTINF:5,\n\(web)/a.ts\n#EXT-X-ENDLIST\n".utf8)),
      ("hls-variants", Array("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\(web)/b.m3u8\n".utf8)),
      (
        "hls-key",
        Array("\(head)#EXT-X-KEY:METHOD=AES-128,URI=\"file://\(file)\"\n#EXTINF:5,\n\(web)/c.ts\n".utf8)
      ),
      (
        "hls-concat",
        Array("\u{FEFF}\(head)#EXTINF:5,\nconcat:\(web)/d.ts|file://\(file)\n#EXT-X-ENDLIST\n".utf8)
      ),
      ("concat-script", Array("ffconcat version 1.0\nfile '\(file)'\nfile '\(web)/e.ts'\n".utf8)),
      ("dash", Array(mpd.utf8)),
      ("sdp", Array(session.utf8)),
      ("hls-behind-a-box", box + Array(playlist.utf8)),
    ]
  }
}
