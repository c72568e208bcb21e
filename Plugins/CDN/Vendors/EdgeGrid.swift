// Akamai's EdgeGrid, version 1
//
//   prefix     EG1-HMAC-SHA256 client_token=C;access_token=A;timestamp=20140321T19:34:21+0000;nonce=N;
//   key        base64 of HMAC-SHA256(client secret, timestamp); the text is the next key
//   data       METHOD, scheme, host, path and query, header fields (none), hash, prefix; tabs between
//   hash       base64 of SHA-256 of the first 131,072 bytes of a POST's body
//   header     prefix signature=base64 of HMAC-SHA256(key, data)

import Origin
import Store

enum EdgeGrid {
  struct Credentials: Equatable, Sendable {
    var clientToken: String
    var accessToken: String
    var clientSecret: Secret
  }

  private static let mostHashedBytes = 131_072

  /// The value of `Authorization`.
  static func authorization(
    _ method: String, host: String, path: String, body: [UInt8], _ credentials: Credentials,
    timestamp: String, nonce: String
  ) -> String {
    let prefix =
      "EG1-HMAC-SHA256 client_token=\(credentials.clientToken);access_token=\(credentials.accessToken);"
      + "timestamp=\(timestamp);nonce=\(nonce);"
    let hash =
      method == "POST" && !body.isEmpty
      ? StrictBase64.encode(
        BlobID.digest(of: Array(body.prefix(mostHashedBytes))).withUnsafeBytes { Array($0) }) : ""
    let data = [method, "https", host.lowercased(), path, "", hash, prefix].joined(separator: "\t")
    let key = StrictBase64.encode(
      MessageCode.sha256(of: Array(timestamp.utf8), key: credentials.clientSecret.bytes))
    return prefix
      + "signature=\(StrictBase64.encode(MessageCode.sha256(of: Array(data.utf8), key: Array(key.utf8))))"
  }

  /// `20140321T19:34:21+0000`.
  static func timestamp(_ seconds: Int64) -> String {
    let time = UTCTime(seconds)
    return "\(time.date)T\(time.hour):\(time.minute):\(time.second)+0000"
  }
}

/// The parts of an instant in UTC, with leading zeros.
struct UTCTime {
  /// `20140321`.
  let date: String
  let hour: String
  let minute: String
  let second: String

  /// - Parameter seconds: since 1970; those before count as 1970.
  init(_ seconds: Int64) {
    let seconds = max(0, min(seconds, 253_402_300_799))
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    // Days since 1970-03-01 of year 0 in eras of 400 years (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let days = seconds / 86_400 + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let yearText = String(year)
    date =
      String(repeating: "0", count: max(0, 4 - yearText.count)) + yearText + two(month)
      + two(dayOfYear - (153 * shifted + 2) / 5 + 1)
    hour = two(seconds % 86_400 / 3600)
    minute = two(seconds % 3600 / 60)
    second = two(seconds % 60)
  }
}
