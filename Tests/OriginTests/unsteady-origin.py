"""Serves one file as a blob, in parts, and badly: each further request meets the next of the words given, and after them all goes well.

    unsteady-origin.py FILE [cut | busy | wrong | shorter | refuse | gone]...

cut: half of the part, then the end of the connection. busy: 503. wrong: another byte in the part. shorter: another length of the
whole. refuse: 401. gone: 404. A PUT is answered with 201 if its body is the file. Prints its port, then a line for each request.
"""

import http.server
import re
import sys

data = open(sys.argv[1], "rb").read()
words = sys.argv[2:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def next(self):
        word = words.pop(0) if words else "well"
        print("request", self.command, self.headers.get("Range", "-"), word, flush=True)
        return word

    def say(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def problem(self, word):
        if word == "busy":
            self.say(503, b"{}", Retry_After="0")
        elif word == "refuse":
            self.say(401, b'{"code": "token-unknown", "detail": "No."}')
        elif word == "gone":
            self.say(404, b'{"code": "not-found", "detail": "None."}')
        else:
            return False
        return True

    def do_GET(self):
        word = self.next()
        if self.problem(word):
            return
        first, last = (int(number) for number in re.findall(r"\d+", self.headers["Range"]))
        last = min(last, len(data) - 1)
        part = bytearray(data[first : last + 1])
        if word == "wrong":
            part[len(part) // 2] ^= 1
        total = len(data) - (1 if word == "shorter" else 0)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if word == "cut":
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
        else:
            self.wfile.write(part)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.problem(self.next()):
            self.say(201 if body == data else 422, b"{}")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
