import ArgumentParser
import Foundation
import Origin

struct SignCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sign",
    abstract: "Print a signed URL.",
    discussion: """
      A token opens one path, or with --scope everything below one: playlists and MPDs carry such a token on to all \
      that they name, so a signed manifest plays.

        headwater sign --expires 4h --scope /v/film/ https://media.example.com/v/film/master.m3u8
      """)

  @OptionGroup var options: CommandOptions
  @OptionGroup var site: SiteOption
  @Option(help: "How long the URL is valid, such as 90s, 1h or 30d.")
  var expires = "1h"
  @Option(help: "A path that begins and ends with a slash: the token opens everything below it.")
  var scope: String?
  @Option(help: "The id of the key that signs. Default: the first in the site's file.")
  var key: String?
  @Option(help: "The only client that may use the URL, as an IP address.")
  var ip: String?
  @Argument(help: "A URL of the site, or its path.")
  var url: String

  func run() throws {
    let configuration = try options.load()
    let seconds = try lifetimeSeconds()
    let site = try self.site.pick(configuration)
    do throws(URLSigner.Refusal) {
      let signer = try URLSigner(site, keyID: key)
      let expiresSeconds = Int64(Date().timeIntervalSince1970) + seconds
      Terminal.line(try signer.sign(url, expiresSeconds: expiresSeconds, scope: scope, address: ip))
    } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
    let path = url.prefix { $0 != "?" }
    if scope == nil, path.hasSuffix(".m3u8") || path.hasSuffix(".mpd") {
      Terminal.error("note: this opens the manifest alone; to play what it names, sign with --scope /v/ID/")
    }
  }

  private func lifetimeSeconds() throws -> Int64 {
    let milliseconds: Int
    do throws(ConfigUnitError) { milliseconds = try ConfigDuration.parse(expires) } catch {
      throw ValidationError("--expires: \(error)")
    }
    guard milliseconds >= 1000 else { throw ValidationError("--expires takes at least 1s") }
    return Int64(milliseconds / 1000)
  }
}
