"""Clients that compare every byte, thousands of them in one process, on epoll.

A process with thousands of sockets comes late to many of them. `Client.answer_seconds` therefore ends when the kernel had the
answer's last bytes, by its own time stamp, and begins before the connection does: what it tells is the server's time alone.
"""
import heapq
import itertools
import re
import resource
import select
import socket
import struct
import time

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; the control message has the same number

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


class Loop:
    """Sockets and timers of one process. `run` goes on until `until` is true or the time is up."""

    def __init__(self):
        self.poll = select.epoll()
        self.clients = {}
        self.timers = []
        self.number = itertools.count()

    def after(self, seconds, call):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.number), call))

    def run(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while not until() and (now := time.monotonic()) < end:
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
            wait = min(end, self.timers[0][0] if self.timers else end) - time.monotonic()
            for descriptor, events in self.poll.poll(max(0, wait), 4096):
                if client := self.clients.get(descriptor):
                    client.wake(events)

    def close(self):
        for client in list(self.clients.values()):
            client.close()
        self.poll.close()


class Client:
    """A keep-alive connection. What it gets is compared as it comes; `done(self, problem)` hears of each answer.

    `problem` is None for a whole and right 200 or 206, else what was wrong. `status` and `fields` are the last answer's;
    `answer_seconds` is how long it took on the wire: for the first one from before the connection was begun, for others from
    when they were asked for, to the arrival of its last byte.
    """

    def __init__(self, loop, port, done=None, receive_buffer=None, pace=None):
        self.loop, self.done, self.pace = loop, done, pace
        self.status, self.fields, self.expected, self.waiting = 0, {}, None, False
        self.head, self.left, self.position, self.output = b"", 0, 0, b""
        self.started, self.began, self.answer_seconds = time.monotonic(), time.time(), 0
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.is_connected = False
        self.socket.connect_ex(("127.0.0.1", port))
        self.descriptor = self.socket.fileno()
        loop.clients[self.descriptor] = self
        loop.poll.register(self.descriptor, select.EPOLLOUT | select.EPOLLIN)

    def ask(self, path, content, first=None, last=None):
        """Sends a request. `content` is the whole representation; `first` to `last` the range asked for."""
        text = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
        self.expected = memoryview(content)
        if first is not None:
            text += f"Range: bytes={first}-{last}\r\n"
            self.expected = self.expected[first:last + 1]
        self.started, self.waiting = time.monotonic(), True
        # Nothing was asked before: the connection's own time counts.
        self.began = time.time() if self.status else self.began
        self.head, self.left, self.position = b"", None, 0
        self.send(text.encode() + b"\r\n")

    def send(self, data):
        self.output += data
        self.flush()

    def flush(self):
        # On loopback the connection is there when connect() returns, unless the server's queue is full: then this is tried
        # again when the kernel says so.
        try:
            while self.output:
                self.output = self.output[self.socket.send(self.output):]
        except BlockingIOError:
            return
        except OSError as error:
            return self.end(f"{'send' if self.is_connected else 'connect'}: {error.strerror}")
        self.is_connected = True
        self.loop.poll.modify(self.descriptor, select.EPOLLIN)

    def wake(self, events):
        if not self.is_connected:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                return self.end(f"connect: error {error}")
            if not events & select.EPOLLOUT:
                return
            self.is_connected = True
            self.flush()
            if not self.is_open():
                return
        elif self.output:
            self.flush()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and self.is_open():
            self.read()

    def read(self):
        size = 1 << 18 if self.pace is None else self.pace[0]
        try:
            data, stamps, _, _ = self.socket.recvmsg(size, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        except OSError as error:
            return self.end(f"receive: {error.strerror}")
        if not data:
            return self.end("closed" if self.waiting else None)
        for _, _, stamp in stamps:
            seconds, nanoseconds = struct.unpack("qq", stamp)
            self.answer_seconds = seconds + nanoseconds / 1e9 - self.began
        if self.pace:
            # A slow reader: nothing more is read for a while.
            self.loop.poll.modify(self.descriptor, 0)
            self.loop.after(self.pace[1], self.resume)
        if not self.waiting:
            return self.end("bytes that nobody asked for")
        self.take(data)

    def resume(self):
        if self.is_open():
            self.loop.poll.modify(self.descriptor, select.EPOLLIN)

    def take(self, data):
        if self.left is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.head[:end].decode("latin-1").split("\r\n")
            data = self.head[end + 4:]
            self.status = int(re.match(r"HTTP/1\.1 (\d{3}) ", lines[0])[1])
            self.fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
            self.left = int(self.fields["content-length"])
        isRight = self.status in (200, 206)
        if isRight and self.expected[self.position:self.position + len(data)] != data:
            return self.end(f"wrong bytes at {self.position}")
        self.position += len(data)
        self.left -= len(data)
        if self.left < 0:
            return self.end("too many bytes")
        if self.left == 0:
            self.waiting = False
            isWhole = not isRight or self.position == len(self.expected)
            problem = None if isRight and isWhole else f"status {self.status}"
            if self.fields.get("connection") == "close":
                self.close()
            if self.done:
                self.done(self, problem)

    def is_open(self):
        # Another client may have its number.
        return self.loop.clients.get(self.descriptor) is self

    def seconds(self):
        return time.monotonic() - self.started

    def end(self, problem):
        wasWaiting = self.waiting
        self.waiting = False
        self.close()
        if self.done and (wasWaiting or problem):
            self.done(self, problem or "closed")
        self.ended(problem)

    def ended(self, problem):
        """For clients that wait to be closed."""

    def close(self):
        if self.is_open():
            del self.loop.clients[self.descriptor]
            self.loop.poll.unregister(self.descriptor)
            self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()


class Tally:
    """Counts answers, keeps how long each took and what was wrong with some."""

    def __init__(self):
        self.events, self.problems, self.times = 0, [], []

    def __call__(self, client, problem):
        self.events += 1
        self.times.append(client.seconds())
        if problem:
            self.problems.append(problem)

    def percentile(self, share):
        times = sorted(self.times)
        return times[min(len(times) - 1, int(len(times) * share))] if times else 0
