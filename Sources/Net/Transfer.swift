// One request inside of libcurl: its options, what its callbacks gather, and what it comes to.

internal import CCurl
internal import Glibc
import Loop

/// One request and its easy handle. Belongs to its loop's thread.
final class Transfer {
  let call: HTTPCall
  let request: HTTPRequest
  let completion: (Result<HTTPResponse, HTTPClientError>) -> Void
  /// On the loop's clock; set when the request is taken.
  var deadlineMilliseconds: UInt64 = 0
  /// Runs while the request waits for its turn.
  var queueTimer: Timer?
  /// From ``open(_:timeoutMilliseconds:)`` to ``close()``.
  private(set) var easy: UnsafeMutableRawPointer?
  private var addresses = AddressPolicy.publicOnly
  private var fieldList: UnsafeMutablePointer<curl_slist>?
  private let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
  private var body: UnsafeMutableRawBufferPointer?
  /// How much of the request's file was given to libcurl.
  private var fileOffset: UInt64 = 0
  private var received: [UInt8] = []
  private var receivedBytes = 0
  private var fields: [HTTPField] = []
  private var fieldBytes = 0
  /// Why a callback ended the transfer.
  private var reason: HTTPClientError.Code?

  /// Of all heads of a transfer together.
  private static let mostFieldBytes = 128 << 10

  init(
    call: HTTPCall, request: HTTPRequest,
    completion: @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
  ) {
    self.call = call
    self.request = request
    self.completion = completion
    message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  deinit {
    close()
    message.deallocate()
  }

  var origin: String { HTTPClientError.origin(of: request.url) }

  /// The transfer behind a handle that ``open(_:timeoutMilliseconds:)`` made.
  static func of(_ easy: UnsafeMutableRawPointer) -> Transfer? {
    var pointer: UnsafeMutableRawPointer?
    hw_curl_get_pointer(easy, CURLINFO_PRIVATE, &pointer)
    return pointer.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Makes the handle. False where libcurl refuses one of the options, for want of memory or of the feature.
  func open(_ options: HTTPClient.Options, timeoutMilliseconds: UInt64) -> Bool {
    guard let easy = curl_easy_init() else { return false }
    self.easy = easy
    addresses = options.addresses
    // Unretained: whoever adds the handle keeps the transfer until the handle is removed.
    let owner = Unmanaged.passUnretained(self).toOpaque()
    var codes: [CURLcode] = []
    func set(_ option: CURLoption, _ value: Int) { codes.append(hw_curl_set_number(easy, option, value)) }
    func set(_ option: CURLoption, _ value: String) { codes.append(hw_curl_set_text(easy, option, value)) }
    func set(_ option: CURLoption, pointer: UnsafeRawPointer?) {
      codes.append(hw_curl_set_pointer(easy, option, pointer))
    }
    let isEncrypted = request.url.prefix(6).lowercased() == "https:"
    set(CURLOPT_PRIVATE, pointer: owner)
    set(CURLOPT_ERRORBUFFER, pointer: message)
    set(CURLOPT_URL, request.url)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_REDIR_PROTOCOLS_STR, isEncrypted ? "https" : "http,https")
    set(CURLOPT_FOLLOWLOCATION, request.mostRedirects > 0 ? 1 : 0)
    set(CURLOPT_MAXREDIRS, request.mostRedirects)
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
    set(
      CURLOPT_CONNECTTIMEOUT_MS,
      Int(clamping: max(1, min(request.connectTimeoutMilliseconds, timeoutMilliseconds))))
    set(CURLOPT_TIMEOUT_MS, Int(clamping: max(1, timeoutMilliseconds)))
    if request.stallTimeoutSeconds > 0 {
      set(CURLOPT_LOW_SPEED_LIMIT, 1)
      set(CURLOPT_LOW_SPEED_TIME, request.stallTimeoutSeconds)
    }
    codes.append(hw_curl_set_length(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(request.mostResponseBytes)))
    // No signals, no environment, and no thread joined when a transfer ends while its name is being resolved: that would
    // stop the loop for as long as the resolver takes.
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_PROXY, "")
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    if let path = options.certificateAuthoritiesPath {
      set(CURLOPT_CAINFO, path)
      set(CURLOPT_CAPATH, pointer: nil)
    }
    codes.append(hw_curl_set_open_socket(easy) { Transfer.openSocket($0, $2) })
    set(CURLOPT_OPENSOCKETDATA, pointer: owner)
    codes.append(
      hw_curl_set_write(easy, CURLOPT_HEADERFUNCTION) { Transfer.received($0, $1 * $2, $3, isHead: true) })
    set(CURLOPT_HEADERDATA, pointer: owner)
    codes.append(
      hw_curl_set_write(easy, CURLOPT_WRITEFUNCTION) { Transfer.received($0, $1 * $2, $3, isHead: false) })
    set(CURLOPT_WRITEDATA, pointer: owner)
    setMessage(set(_:_:), set(_:pointer:))
    var fields = request.fields
    let names = Set(fields.map { $0.name.lowercased() })
    if !names.contains("user-agent") { fields.append(HTTPField("User-Agent", options.userAgent)) }
    // An empty value keeps libcurl from adding its own: no wait for "100 Continue", no type of body that is not known.
    var lines = fields.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
    for name in ["Expect", "Content-Type"] where !names.contains(name.lowercased()) {
      lines.append("\(name):")
    }
    for line in lines {
      guard let longer = curl_slist_append(fieldList, line) else { return false }
      fieldList = longer
    }
    set(CURLOPT_HTTPHEADER, pointer: fieldList)
    return codes.allSatisfy { $0 == CURLE_OK }
  }

  private func setMessage(
    _ setNumber: (CURLoption, Int) -> Void, _ setPointer: (CURLoption, UnsafeRawPointer?) -> Void
  ) {
    guard let easy else { return }
    let natural: String
    if let bytes = request.body {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
      memory.copyBytes(from: bytes)
      body = memory
      setNumber(CURLOPT_POST, 1)
      setPointer(CURLOPT_POSTFIELDS, memory.baseAddress)
      hw_curl_set_length(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
      natural = "POST"
    } else if let file = request.file {
      setNumber(CURLOPT_UPLOAD, 1)
      hw_curl_set_length(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(clamping: file.sizeBytes))
      let owner = Unmanaged.passUnretained(self).toOpaque()
      hw_curl_set_read(easy) { Transfer.read($0, $1 * $2, $3) }
      setPointer(CURLOPT_READDATA, owner)
      // A kept connection that turns out to be closed has taken some of it.
      hw_curl_set_seek(easy) { Transfer.seek($0, $1, $2) }
      setPointer(CURLOPT_SEEKDATA, owner)
      natural = "PUT"
    } else {
      natural = request.method == "HEAD" ? "HEAD" : "GET"
      setNumber(natural == "HEAD" ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1)
    }
    // Only where it says more: libcurl would also keep it where a redirection asks for GET.
    if request.method != natural { hw_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method) }
  }

  /// Frees the handle, which must not be in a multi handle any more. Harmless when repeated.
  func close() {
    if let easy { curl_easy_cleanup(easy) }
    easy = nil
    curl_slist_free_all(fieldList)
    fieldList = nil
    body?.deallocate()
    body = nil
  }

  /// What the finished transfer comes to.
  func result(_ code: CURLcode) -> Result<HTTPResponse, HTTPClientError> {
    guard code == CURLE_OK, let easy else {
      let said = String(cString: message)
      let detail = said.isEmpty ? String(cString: curl_easy_strerror(code)) : said
      return .failure(HTTPClientError(reason ?? self.code(of: code), origin: origin, detail: detail))
    }
    var status = 0
    var version = 0
    var retryAfterSeconds: curl_off_t = 0
    hw_curl_get_number(easy, CURLINFO_RESPONSE_CODE, &status)
    hw_curl_get_number(easy, CURLINFO_HTTP_VERSION, &version)
    hw_curl_get_length(easy, CURLINFO_RETRY_AFTER, &retryAfterSeconds)
    var response = HTTPResponse(
      status: status, fields: fields, body: received, bodyBytes: receivedBytes,
      majorVersion: version == Int(CURL_HTTP_VERSION_2_0) ? 2 : 1)
    if response.field("Retry-After") != nil {
      let (milliseconds, overflows) = UInt64(clamping: retryAfterSeconds).multipliedReportingOverflow(
        by: 1000)
      response.retryAfterMilliseconds = overflows ? .max : milliseconds
    }
    return .success(response)
  }

  private func code(of code: CURLcode) -> HTTPClientError.Code {
    var status = 0
    if let easy { hw_curl_get_number(easy, CURLINFO_RESPONSE_CODE, &status) }
    // What libcurl takes for HTTP/0.9 it calls an unsupported protocol, as it does one of a URL or a redirection.
    return code == CURLE_UNSUPPORTED_PROTOCOL && status == 0 ? .responseBroken : .init(code)
  }

  // MARK: Callbacks

  /// The one place that sees the address that is going to be connected to.
  private static func openSocket(
    _ owner: UnsafeMutableRawPointer?, _ address: UnsafeMutablePointer<curl_sockaddr>?
  ) -> curl_socket_t {
    guard let owner, let address else { return CURL_SOCKET_BAD }
    let transfer = Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue()
    guard let start = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return CURL_SOCKET_BAD }
    // libcurl allocates as many bytes as the length says, which may be more than a `sockaddr` has.
    let bytes = UnsafeRawBufferPointer(
      start: UnsafeRawPointer(address) + start, count: Int(address.pointee.addrlen))
    guard let target = SocketAddress(systemBytes: bytes), transfer.addresses.allows(target) else {
      transfer.reason = .addressRefused
      return CURL_SOCKET_BAD
    }
    return socket(
      address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue),
      address.pointee.protocol)
  }

  private static func read(
    _ buffer: UnsafeMutablePointer<CChar>?, _ count: Int, _ owner: UnsafeMutableRawPointer?
  ) -> Int {
    guard let buffer, let owner else { return Int(CURL_READFUNC_ABORT) }
    let transfer = Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue()
    guard let file = transfer.request.file else { return Int(CURL_READFUNC_ABORT) }
    let wanted = Int(clamping: min(UInt64(count), file.sizeBytes - min(file.sizeBytes, transfer.fileOffset)))
    var done = -1
    repeat {
      done = pread(file.descriptor, buffer, wanted, off_t(clamping: transfer.fileOffset))
    } while done < 0 && errno == EINTR
    guard done >= 0 else { return Int(CURL_READFUNC_ABORT) }
    transfer.fileOffset += UInt64(done)
    return done
  }

  private static func seek(
    _ owner: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32
  ) -> Int32 {
    guard let owner, origin == SEEK_SET, offset >= 0 else { return CURL_SEEKFUNC_FAIL }
    Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue().fileOffset = UInt64(offset)
    return CURL_SEEKFUNC_OK
  }

  private static func received(
    _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ owner: UnsafeMutableRawPointer?, isHead: Bool
  ) -> Int {
    guard let bytes, let owner else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(owner).takeUnretainedValue()
    let chunk = UnsafeRawBufferPointer(start: bytes, count: count)
    return (isHead ? transfer.took(line: chunk) : transfer.took(body: chunk)) ? count : -1
  }

  private func took(body chunk: UnsafeRawBufferPointer) -> Bool {
    guard chunk.count <= request.mostResponseBytes - receivedBytes else {
      reason = .responseTooLarge
      return false
    }
    receivedBytes += chunk.count
    if request.keepsBody { received += chunk }
    return true
  }

  /// libcurl hands over one whole line at a time, those of earlier heads and of trailers included.
  private func took(line: UnsafeRawBufferPointer) -> Bool {
    fieldBytes += line.count
    guard fieldBytes <= Self.mostFieldBytes else {
      reason = .responseTooLarge
      return false
    }
    if line.starts(with: "HTTP/".utf8) {
      fields = []
      received = []
      receivedBytes = 0
      return true
    }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
    let value = line[(colon + 1)...].trimmingPrefix { $0 == 0x20 || $0 == 0x09 }
    let end = value.lastIndex { $0 > 0x20 }.map { $0 + 1 } ?? value.startIndex
    fields.append(
      HTTPField(
        String(decoding: line[..<colon], as: UTF8.self),
        String(decoding: value[..<end], as: UTF8.self)))
    return true
  }
}
