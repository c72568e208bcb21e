#!/usr/bin/env python3
"""Writes the hand-picked part of the HTTP fuzzing corpus: python3 Tests/Fuzz/HTTP/make-corpus.py

Each file is one seed byte (how the input is cut, how long the representation of a range is) and then the input.
The names say what a file is; files named by a hash came from fuzzing and are not remade here.
"""
import pathlib

folder = pathlib.Path(__file__).parent / "Corpus"
files = {}


def request(name, line, *fields, body=b""):
    head = b"".join(part.encode("latin-1") + b"\r\n" for part in (line, *fields)) + b"\r\n"
    files["request-" + name] = b"\x00" + head + body


host = "Host: media.example.com"
request("plain", "GET / HTTP/1.1", host)
request("segment", "GET /v/a/g/0123456789ab/720p/segment_0001.m4s HTTP/1.1", host, "User-Agent: CDN/1")
request("signed", "GET /v/a/x.mp4?expires=1700000000&kid=k1&scope=/v/a/&sig=abc-_ HTTP/1.1", host)
request("old", "GET / HTTP/1.0")
request("old-keep", "GET / HTTP/1.0", "Connection: keep-alive")
request("version-2", "GET / HTTP/2.0", host)
request("version-09", "GET /")
request("preface", "PRI * HTTP/2.0", "", body=b"SM\r\n\r\n")
request("method-other", "PROPFIND / HTTP/1.1", host)
request("empty-lines", "\r\n\r\nGET / HTTP/1.1", host)
request("dots", "GET /a/./b/../%2e%2E/c//d/%2e HTTP/1.1", host)
request("above", "GET /../../etc/passwd HTTP/1.1", host)
request("above-encoded", "GET /%2e%2e/%2e./etc/passwd HTTP/1.1", host)
request("double", "GET /%252e%252e/%25%32%65/ HTTP/1.1", host)
request("overlong", "GET /%c0%ae%c0%ae/%e0%80%af HTTP/1.1", host)
request("slash", "GET /a%2fb HTTP/1.1", host)
request("backslash", "GET /a\\..\\b HTTP/1.1", host)
request("null", "GET /a%00.mp4 HTTP/1.1", host)
request("reserved", "GET /a|b[c]{d}\"<>^` HTTP/1.1", host)
request("utf8", "GET /%C3%A9/%f0%9f%8e%ac.mp4 HTTP/1.1", host)
request("absolute", "GET http://h.example:8080/p?q HTTP/1.1", host)
request("absolute-bare", "OPTIONS https://[::1] HTTP/1.1", host)
request("asterisk", "OPTIONS * HTTP/1.1", host)
request("connect", "CONNECT h:443 HTTP/1.1", "Host: h:443")
request("host-v6", "GET / HTTP/1.1", "Host: [2001:db8::ffff:192.0.2.1]:8443")
request("host-bad", "GET / HTTP/1.1", "Host: a@b/c")
request("host-twice", "GET / HTTP/1.1", host, host)
request("length", "PUT /f/a HTTP/1.1", host, "Content-Length: 5", "Expect: 100-continue", body=b"hello")
request("length-list", "PUT /f/a HTTP/1.1", host, "Content-Length: 5, 5")
request("length-huge", "PUT /f/a HTTP/1.1", host, "Content-Length: 18446744073709551616")
request("chunked", "POST / HTTP/1.1", host, "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
request("both", "POST / HTTP/1.1", host, "Transfer-Encoding: chunked", "Content-Length: 5")
request("coding", "POST / HTTP/1.1", host, "Transfer-Encoding: gzip, chunked")
request("folded", "GET / HTTP/1.1", host, "X: a", " b")
request("space-colon", "GET / HTTP/1.1", host, "X : a")
request("control", "GET / HTTP/1.1", host, "X: a\x01b")
request("obs-text", "GET / HTTP/1.1", host, "X: \xe9\tb")
request("many", "GET / HTTP/1.1", host, *[f"X-{n}: {n}" for n in range(14)])
request("forwarded", "GET / HTTP/1.1", host, 'Forwarded: for=1.1.1.1;proto=https, for="[2001:db8::7]:4711";by=_x', "X-Forwarded-For: 2.2.2.2, 10.0.0.2")
request("forwarded-for", "GET / HTTP/1.1", host, "X-Forwarded-For: 203.0.113.7:80, ::ffff:10.0.0.2", "X-Forwarded-For: 10.1.1.1",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
files["proxy-1-tcp4"] = b"\x00PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n"
files["proxy-1-tcp6"] = b"\x00PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"
files["proxy-1-unknown"] = b"\x00PROXY UNKNOWN ffff:f 1\r\n"
signature = b"\x00\r\n\r\n\x00\r\nQUIT\n"
addresses = bytes([203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 4, 1, 0xBB])
files["proxy-2-tcp4"] = signature + b"\x21\x11\x00\x0c" + addresses
files["proxy-2-tcp6"] = signature + b"\x21\x21\x00\x24" + bytes(range(36))
files["proxy-2-local"] = signature + b"\x20\x00\x00\x00"
files["proxy-2-tlv"] = signature + b"\x21\x11\x00\x14" + addresses + b"\x01\x00\x02h2\x04\x00\x00"
files["proxy-2-crc"] = signature + b"\x21\x11\x00\x13" + addresses + b"\x03\x00\x04\x8f\x34\x12\x56"
request("range", "GET / HTTP/1.1", host, "Range: bytes=0-1,5-6", 'If-Range: "v1"')
request("conditions", "GET / HTTP/1.1", host, 'If-None-Match: W/"a", "b,c" , *', 'If-Match: "a","b"',
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "If-Unmodified-Since: Sun Nov  6 08:49:37 1994")
request("if-range-date", "GET / HTTP/1.1", host, "Range: bytes=-1",
        "If-Range: Sunday, 06-Nov-94 08:49:37 GMT")
request("connection", "GET / HTTP/1.1", host, "Connection: x, ,close", "Connection: keep-alive")
request("cors", "OPTIONS /v/a HTTP/1.1", host, "Origin: https://p.example",
        "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range")
request("pipelined", "GET /a HTTP/1.1", host, body=b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
files["request-bare-lf"] = b"\x00GET / HTTP/1.1\nHost: a\n\n"
files["request-bare-cr"] = b"\x00GET / HTTP/1.1\rHost: a\r\r"
files["request-unfinished"] = b"\x80GET / HTTP/1.1\r\nHost: a\r\nX: "
files["request-long-line"] = b"\x80GET /" + b"a" * 300 + b" HTTP/1.1\r\n"
files["request-long-block"] = b"\x80GET / HTTP/1.1\r\nX: " + b"a" * 1100
files["tls-hello"] = b"\x00\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


# The fields of HTTP/2: each a byte for the name (below 8 one worth having, else its length and 8 more), one for the length
# of the value, name and value.
def fields(name, *lines):
    files["fields-" + name] = b"\x00" + b"".join(
        (bytes([key, len(value)]) if isinstance(key, int) else bytes([len(key) + 8, len(value)]) + key) + value
        for key, value in lines)


get = [(0, b"GET"), (1, b"https"), (2, b"/v/a/master.m3u8?q=1"), (3, b"media.example.com:443")]
fields("get", *get)
fields("range", *get, (6, b"bytes=0-99"), (b"x-request-id", b"abc"), (b"cookie", b"a=1"), (b"cookie", b"b=2"))
fields("host", *get[:3], (4, b"media.example.com"))
fields("both", *get, (4, b"media.example.com:443"))
fields("length", (0, b"POST"), *get[1:], (5, b"18446744073709551615"))
fields("trailers", *get, (7, b"trailers"))
fields("late", *get, (b"a", b"b"), (2, b"/"))
fields("twice", *get, (2, b"/"))
fields("connection", *get, (b"connection", b"close"))
fields("upper", *get, (b"Accept", b"*/*"))
fields("line-end", *get, (b"x", b"a\r\nb: c"))
fields("connect", (0, b"CONNECT"), (3, b"a:1"))
fields("connect-nothing", (0, b"CONNECT"), (3, b""))
fields("asterisk", (0, b"OPTIONS"), (1, b"http"), (2, b"*"), (3, b"[::1]"))
fields("dots", (0, b"GET"), (1, b"http"), (2, b"/a/../%2e%2e/../x"), (3, b"a"))
fields("escape", (0, b"GET"), (1, b"http"), (2, b"/%zz"), (3, b"a"))

for name, text in {
    "plain": "5\r\nhello\r\n0\r\n\r\n", "extension": "5;a=\"b\"\r\nhello\r\n0;x\r\n\r\n",
    "trailer": "0\r\nX: y\r\nZ: \r\n\r\n", "huge": "ffffffffffffffff\r\nabc", "overflow": "10000000000000000\r\n",
    "space": "5 \r\nhello\r\n", "bare-lf": "5\nhello\n0\n\n", "two": "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\nrest",
}.items():
    files["chunks-" + name] = b"\x40" + text.encode()

for name, text in {
    "first": "bytes=0-0", "open": "bytes=5-", "suffix": "bytes=-5", "two": "bytes=0-1,5-6", "merge": "bytes=0-5,3-9",
    "backwards": "bytes=5-4", "unit": "items=0-1", "case": "BYTES= 0-1 ,, 2-2", "all": "bytes=0-,-1",
    "overflow": "bytes=18446744073709551616-18446744073709551617", "many": "bytes=" + ",".join(["0-"] * 40),
    "disjoint": "bytes=" + ",".join(f"{n * 10}-{n * 10 + 1}" for n in range(17)),
    "suffixes": "bytes=-9223372036854775807,-9223372036854775807", "malformed": "bytes=1-2-3",
}.items():
    files["range-" + name] = b"\xc8" + text.encode()
    files["range-largest-" + name] = b"\xfa" + text.encode()

for name, text in {
    "fixdate": "Sun, 06 Nov 1994 08:49:37 GMT", "rfc850": "Sunday, 06-Nov-94 08:49:37 GMT",
    "asctime": "Sun Nov  6 08:49:37 1994", "leap": "Thu, 29 Feb 2024 23:59:60 GMT",
    "last": "Fri, 31 Dec 9999 23:59:60 GMT", "first": "Sat, 01 Jan 0000 00:00:00 GMT",
}.items():
    files["date-" + name] = b"\x00" + text.encode()

for name, text in {
    "first": 'bl=21300,br=3200,bs,cid="faec5fc2",d=4004,nor="..%2F300kbps%2Ftrack.m4v",ot=v,pr=1.08,sid="6e2fb550",st=v,su',
    "second": 'bl=(21300;v),br=(3200;v 128;a),nor=("seg-11.m4s" "seg-12.m4s";r="0-9999"),ot=v,sn=7,sta=p,v=2',
    "query": "a=1&CMCD=br%3D3200%2Cbs%2Csid%3D%226e2f%5C%22b550%22&CMCD=su&b",
    "events": 'e=ps,sta=p,ts=1767225600123,v=2\ne=t,bsd=(1500;v),ts=2\r\n"\n',
    "open": 'cid="a,b', "nested": "br=((1;v))", "flags": "su=?0,bs=?1,bg=?2",
}.items():
    files["cmcd-" + name] = b"\x00" + text.encode()

folder.mkdir(exist_ok=True)
for name, content in files.items():
    (folder / name).write_bytes(content)
print(len(files), "files")
