"""An HTTP server that behaves as its paths say, well or badly. Prints its port, then a line for each request.

    scripted-server.py [CERTIFICATE KEY]

A port of its own on loopback; with a certificate it speaks TLS.
"""

import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

connections = 0
lock = threading.Lock()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        global connections
        with lock:
            connections += 1
            self.connection_number = connections
        try:
            while self.one():
                pass
        except OSError:
            pass

    def one(self):
        line = self.rfile.readline(65537).decode("latin-1").strip()
        if not line:
            return False
        method, target, _ = line.split(" ", 2)
        fields = {}
        while True:
            field = self.rfile.readline(65537).decode("latin-1").strip()
            if not field:
                break
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
        body = self.rfile.read(int(fields.get("content-length", "0")))
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        print("request", method, url.path, flush=True)
        return getattr(self, "do_" + url.path.strip("/").replace("-", "_"))(method, fields, body, query)

    def send(self, status, fields=(), body=b"", length=None):
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body) if length is None else length}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        self.wfile.write(head.encode("latin-1") + body)
        return True

    def wait_for_the_client(self):
        # Until the client goes away.
        while self.rfile.read(1):
            pass
        print("gone", flush=True)
        return False

    def do_ok(self, method, fields, body, query):
        return self.send(200, [("X-Connection", self.connection_number)], b"" if method == "HEAD" else b"fine", 4)

    def do_echo(self, method, fields, body, query):
        told = [("X-Method", method)] + [("X-Got-" + name, value) for name, value in fields.items()]
        return self.send(200, told, body)

    def do_status(self, method, fields, body, query):
        given = [("Retry-After", query["after"])] if "after" in query else []
        return self.send(int(query["code"]), given, b"no")

    def do_hang(self, method, fields, body, query):
        return self.wait_for_the_client()

    def do_slow(self, method, fields, body, query):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def do_truncated(self, method, fields, body, query):
        self.send(200, [], b"half", 8)
        return False

    def do_truncated_chunks(self, method, fields, body, query):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n8\r\nha")
        return False

    def do_nothing(self, method, fields, body, query):
        return False

    def do_garbage(self, method, fields, body, query):
        self.wfile.write(b"\x16\x03\x01 this is not HTTP at all\r\n\r\n")
        return False

    def do_large(self, method, fields, body, query):
        return self.send(200, [], b"x" * int(query["bytes"]))

    def do_large_chunks(self, method, fields, body, query):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def do_endless_head(self, method, fields, body, query):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

    def do_redirect(self, method, fields, body, query):
        return self.send(int(query.get("code", "302")), [("Location", query["to"])], b"elsewhere")

    def do_loop(self, method, fields, body, query):
        return self.send(302, [("Location", "/loop")])


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        if len(sys.argv) > 2:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[1], sys.argv[2])
            try:
                request = context.wrap_socket(request, server_side=True)
            except OSError:
                return
        super().finish_request(request, client_address)


server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
