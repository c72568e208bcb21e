// The fuzzer's entry for everything in HTTP that reads what a client sent. The first input byte seeds the cuts
// and picks a length for ranges; the rest goes to each reader in turn. Run by scripts/fuzz.sh.

nonisolated(unsafe) private var head = RequestHead(
  limits: HTTPLimits(requestLineBytes: 256, headerBlockBytes: 1024, fieldCount: 12))

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let data, size > 0 else { return 0 }
  let seed = data[0]
  let input = UnsafeRawBufferPointer(start: data + 1, count: size - 1)
  var random = SplitMix64(seed: UInt64(seed))
  HTTPInvariants.checkHead(input, &head) { seed < 64 ? 1 : Int(random.next() % 24) }
  HTTPInvariants.checkProxyHeader(input) { seed < 64 ? 1 : Int(random.next() % 24) }
  HTTPInvariants.checkChunks(input) { seed < 64 ? 1 : Int(random.next() % 24) }
  HTTPInvariants.checkFields(input, &head)
  let text = unsafe Span<UInt8>(_unsafeStart: data + 1, count: size - 1)
  HTTPInvariants.checkRanges(text, length: seed < 250 ? UInt64(seed) : .max - UInt64(seed - 250))
  HTTPInvariants.checkDate(text)
  HTTPInvariants.checkJSONString(text)
  HTTPInvariants.checkCMCD(text)
  return 0
}
