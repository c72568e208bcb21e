"""Hours of mixed load: ranges, whole answers, HLS and DASH, conditions, aborts, imports; every byte compared.

What comes from files is compared with the files; what is made on request with what the first request for it brought, since
an answer under one URL and entity tag is one answer.
"""
import http.client
import re
import threading
import time
import urllib.parse

from clients import Client, Tally
from server import Server

KIB, MIB = 1 << 10, 1 << 20


def fetch(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"GET {path}: {answer.status} {body[:200]}")
        return body, answer.headers["ETag"]
    finally:
        connection.close()


def children(path, text):
    """What an HLS playlist names."""
    names = [line for line in text.split("\n") if line and line[0] != "#"] + re.findall(r'URI="([^"]+)"', text)
    return [urllib.parse.urljoin(path, name) for name in names]


def presentation(server, asset):
    """The paths of all that plays of an asset."""
    found, pending = [], [f"/v/{asset}/master.m3u8", f"/v/{asset}/master_ts.m3u8"]
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.append(path)
        if path.split("?")[0].endswith(".m3u8"):
            pending += children(path, fetch(server, path)[0].decode())
    return found + [f"/v/{asset}/manifest.mpd"]


class Conditional(Client):
    """Asks with `If-None-Match` now and then; 304 is right then, and has no body."""

    def ask_if_changed(self, path, tag):
        self.expected, self.started, self.waiting = memoryview(b""), time.monotonic(), True
        self.head, self.left, self.position = b"", None, 0
        self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n".encode())

    def take(self, data):
        if self.left is None and (self.head + data).startswith(b"HTTP/1.1 304 "):
            self.head += data
            if b"\r\n\r\n" in self.head:
                self.status, self.fields, self.waiting = 304, {}, False
                self.done(self, None)
            return
        super().take(data)


class Importer(threading.Thread):
    """Puts one new file after the other, has each whole from the server, and takes the one before the last away."""

    def __init__(self, server, rng):
        super().__init__(daemon=True)
        self.server, self.rng = server, rng
        self.stopped, self.count, self.problems = threading.Event(), 0, []

    def run(self):
        while not self.stopped.is_set():
            name = f"soak-{self.count % 4}.bin"
            try:
                self.server.put(name, self.rng.randrange(1, 2 * MIB), self.rng.randrange(1 << 30))
                body, _ = fetch(self.server, "/f/" + name)
                if body != self.server.content["/f/" + name]:
                    self.problems.append("wrong bytes of a file that was just put")
            except (Exception, SystemExit) as error:
                self.problems.append(f"put: {error}")
            self.count += 1
            self.stopped.wait(1)


def slope(samples):
    """Least squares: KiB for each second."""
    count = len(samples)
    mean_x, mean_y = (sum(sample[axis] for sample in samples) / count for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0


class Load:
    """Clients that ask for everything in every way, for as long as the loop runs."""

    def __init__(self, loop, server, rng, everything, clients=24):
        self.loop, self.server, self.rng, self.everything = loop, server, rng, everything
        self.tally, self.aborts, self.unchanged = Tally(), 0, 0
        for _ in range(clients):
            self.again(self.client())

    def client(self):
        return Conditional(self.loop, self.server.port, self.done)

    def is_open(self, client):
        # The number of its descriptor may be another's by now.
        return self.loop.clients.get(client.descriptor) is client

    def again(self, client):
        self.loop.after(0.02 * self.rng.random(), lambda: self.ask(client))

    def done(self, client, problem):
        self.tally(client, problem)
        self.again(client if self.is_open(client) else self.client())

    def ask(self, client):
        if not self.is_open(client) or client.waiting:
            return
        path, (content, tag) = self.rng.choice(self.everything)
        chance = self.rng.random()
        if chance < 0.15:
            self.unchanged += 1
            return client.ask_if_changed(path, tag)
        if chance < 0.6 and len(content) > 2:
            first = self.rng.randrange(len(content) - 1)
            client.ask(path, content, first, min(len(content) - 1, first + self.rng.randrange(1, 256 * KIB)))
        else:
            client.ask(path, content)
        if self.rng.random() < 0.01:
            self.aborts += 1
            self.loop.after(self.rng.random() / 100, lambda: self.leave(client))

    def leave(self, client):
        if self.is_open(client):
            client.reset()
            self.again(self.client())


def settled_descriptors(server, goal=0):
    """How many the server has when its clients have gone: as few as `goal`, or what stays after two seconds."""
    deadline = time.monotonic() + 2
    while (count := server.open_descriptors()) > goal and time.monotonic() < deadline:
        time.sleep(0.1)
    return count


def soak(make_loop, server, rng, seconds):
    """The load for so long, after a tenth of that to fill what is cached. Returns events, violations, and figures by name."""
    static = {path: (content, fetch(server, path)[1]) for path, content in server.content.items()}
    made = {path: fetch(server, path) for path in presentation(server, "film")}
    everything = [*static.items(), *made.items()]
    warming = make_loop()
    Load(warming, server, rng, everything)
    warming.run(seconds / 10)
    warming.close()
    before = settled_descriptors(server)
    loop, importer = make_loop(), Importer(server, rng)
    load = Load(loop, server, rng, everything)
    importer.start()
    samples, start = [], time.monotonic()

    def sample():
        if server.process.poll() is None:
            samples.append((time.monotonic() - start, server.memory_kib()))
            loop.after(1, sample)

    sample()
    try:
        loop.run(seconds, lambda: server.process.poll() is not None)
    finally:
        importer.stopped.set()
        importer.join(60)
        loop.close()
    violations = load.tally.problems + importer.problems
    if server.process.poll() is not None:
        return load.tally.events, violations + [f"the server has ended with {server.process.returncode}"], {}
    left = settled_descriptors(server, before + 20) - before
    if left > 20:
        violations.append(f"{left} descriptors are left")
    # What warms up has had a third of the time.
    settled = [each for each in samples if each[0] > seconds / 3]
    return load.tally.events, violations, {
        "KiB grown in 10 min": slope(settled) * 600, "KiB at most": max(size for _, size in samples),
        "descriptors left": left, "aborts": load.aborts, "conditions": load.unchanged, "imports": importer.count}
