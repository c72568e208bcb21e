"""A server of Redis' protocol that behaves as the file MODE says, read anew for each connection and command.

    scripted-redis.py MODE

Prints its port, then a line for each connection and command.
"""

import socket
import socketserver
import struct
import sys
import threading
import time


def mode():
    with open(sys.argv[1], encoding="ascii") as file:
        return file.read().strip()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        print("connection", flush=True)
        try:
            if mode() == "spontaneous":
                self.wfile.write(b"+OK\r\n:1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n")
            if mode() == "spontaneous-error":
                self.wfile.write(b"-ERR max number of clients reached\r\n")
                return
            while self.one():
                pass
        except (OSError, ValueError):
            pass

    def one(self):
        line = self.rfile.readline(65537)
        if not line.startswith(b"*"):
            return False
        words = []
        for _ in range(int(line[1:])):
            length = int(self.rfile.readline(65537)[1:])
            words.append(self.rfile.read(length + 2)[:-2])
        name = words[0].decode("ascii").upper()
        print("command", name, flush=True)
        return self.answer(mode(), name, words)

    def answer(self, how, name, words):
        if how.startswith("-") or how.startswith("+"):
            self.wfile.write(how.encode("ascii") + b"\r\n")
            return True
        return getattr(self, "as_" + how.replace("-", "_"))(name, words)

    def as_ok(self, name, words):
        self.wfile.write(b"$4\r\nfine\r\n")
        return True

    as_spontaneous = as_ok

    def as_empty(self, name, words):
        """A server that has nothing and takes everything."""
        answers = {"GET": b"$-1\r\n", "PTTL": b":-2\r\n", "PING": b"+PONG\r\n", "EVALSHA": b":1\r\n", "EVAL": b":1\r\n"}
        if name == "SUBSCRIBE":
            return self.subscribed(words, b"")
        self.wfile.write(answers.get(name, b"+OK\r\n"))
        return True

    def as_silent(self, name, words):
        while self.rfile.read(1):
            pass
        return False

    def as_slow(self, name, words):
        time.sleep(0.5)
        return self.as_ok(name, words)

    def as_reset(self, name, words):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        return False

    def as_half(self, name, words):
        self.wfile.write(b"$100\r\nonly so much")
        return False

    def as_garbage(self, name, words):
        self.wfile.write(bytes(range(256)) * 16)
        return True

    def as_http(self, name, words):
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        return True

    def as_huge_bulk(self, name, words):
        self.wfile.write(b"$9223372036854775807\r\n")
        return True

    def as_long_bulk(self, name, words):
        self.wfile.write(b"$1000000000\r\n")
        for _ in range(1000):
            self.wfile.write(b"x" * 1_000_000)
        return True

    def as_huge_array(self, name, words):
        self.wfile.write(b"*2147483647\r\n")
        return True

    def as_larger_array(self, name, words):
        self.wfile.write(b"*9223372036854775807\r\n")
        return True

    def as_long_array(self, name, words):
        self.wfile.write(b"*100000\r\n")
        for _ in range(100000):
            self.wfile.write(b"$1000\r\n" + b"x" * 1000 + b"\r\n")
        return True

    def as_deep(self, name, words):
        self.wfile.write(b"*1\r\n" * 10000 + b":1\r\n")
        return True

    def as_twice(self, name, words):
        self.wfile.write(b":1\r\n:2\r\n")
        return True

    def as_resp3(self, name, words):
        self.wfile.write(b"%1\r\n+a\r\n:1\r\n>2\r\n+invalidate\r\n*0\r\n")
        return True

    def as_negative(self, name, words):
        self.wfile.write(b"*-7\r\n$-9\r\n")
        return True

    def subscribed(self, words, message):
        for number, channel in enumerate(words[1:]):
            self.wfile.write(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n" % (len(channel), channel, number + 1))
        self.wfile.write(message)
        return True

    def as_unsubscribing(self, name, words):
        return self.subscribed(words, b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n$1\r\nx\r\n")

    def as_odd_message(self, name, words):
        return self.subscribed(words, b"*3\r\n:1\r\n:2\r\n:3\r\n")

    def as_short_message(self, name, words):
        return self.subscribed(words, b"*1\r\n$7\r\nmessage\r\n")

    def as_plain_message(self, name, words):
        return self.subscribed(words, b"+message\r\n:5\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Event().wait()
