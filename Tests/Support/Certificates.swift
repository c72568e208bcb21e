internal import Foundation

/// An authority and what it signs, made by `openssl` in a folder of their own.
public final class Certificates: Sendable {
  public let folder: TemporaryFolder

  public init() throws {
    folder = try TemporaryFolder("certificates")
    try run(
      [
        "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out",
        "ca.pem",
      ]
        + Self.newKey(isRSA: false))
  }

  public var authority: String { path("ca.pem") }

  public func path(_ name: String) -> String { folder.path(name) }

  /// Makes `NAME.pem` (the certificate, then the authority) and `NAME.key`. Made again, it has another serial number.
  ///
  /// - Parameters:
  ///   - hosts: for which names it is; none: for a client.
  public func make(_ name: String, hosts: [String] = [], isRSA: Bool = false) throws {
    let key = Self.newKey(isRSA: isRSA)
    try run(
      ["req", "-nodes", "-subj", "/CN=\(name)", "-keyout", "\(name).new.key", "-out", "\(name).csr"] + key)
    let names = hosts.map { "DNS:\($0)" }.joined(separator: ",")
    try folder.write("\(name).ext", text: hosts.isEmpty ? "" : "subjectAltName=\(names)\n")
    try run([
      "x509", "-req", "-in", "\(name).csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
      "2",
      "-extfile", "\(name).ext", "-out", "\(name).crt",
    ])
    try folder.write("\(name).pem", bytes(ofFile: path("\(name).crt")) + bytes(ofFile: authority))
    try folder.write("\(name).key", bytes(ofFile: path("\(name).new.key")))
    _ = try Command.run("chmod", ["600", path("\(name).key")])
  }

  /// Makes `NAME.ocsp`: the authority's word that the certificate is good, for a day.
  public func makeResponse(_ name: String) throws {
    let serial = try run(["x509", "-in", "\(name).crt", "-noout", "-serial"]).text.dropFirst("serial=".count)
      .filter { !$0.isWhitespace }
    try folder.write("index.txt", text: "V\t401231235959Z\t\t\(serial)\tunknown\t/CN=\(name)\n")
    try run(["ocsp", "-issuer", "ca.pem", "-cert", "\(name).crt", "-reqout", "\(name).request"])
    try run([
      "ocsp", "-index", "index.txt", "-rsigner", "ca.pem", "-rkey", "ca.key", "-CA", "ca.pem", "-ndays", "1",
      "-reqin", "\(name).request", "-respout", "\(name).ocsp",
    ])
  }

  @discardableResult
  private func run(_ arguments: [String]) throws -> Command {
    let done = try Command.run("openssl", arguments, folder: folder.url.path)
    guard done.status == 0 else { throw SupportError("openssl \(arguments): \(done.errors)") }
    return done
  }

  private static func newKey(isRSA: Bool) -> [String] {
    isRSA ? ["-newkey", "rsa:2048"] : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
  }
}
