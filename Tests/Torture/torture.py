#!/usr/bin/env python3
"""Load that a server must bear: python3 Tests/Torture/torture.py [--seconds N] [NAME…]

Each part starts a server of its own, prints `name: N events, N violations` with its figures, and fails on any violation.
Loopback only; bounded in clients and time. HEADWATER_BINARY is the program, HEADWATER_TORTURE_SEED the seed.
"""
import argparse
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from abuse import Abuse
from clients import Client, Loop, Tally
from server import Server
from soak import soak

seed = int(os.environ.get("HEADWATER_TORTURE_SEED", time.time_ns() % 2**32))
rng = random.Random(seed)
KIB, MIB = 1 << 10, 1 << 20


def report(name, events, violations, figures):
    print(f"{name}: {events} events, {len(violations)} violations; {figures}")
    for violation, count in sorted({v: violations.count(v) for v in violations}.items())[:8]:
        print(f"  {count} x {violation}")
    return not violations


def ranges(loop, server, tally, path, size, interval, count):
    """Clients that ask for random ranges of `size` bytes, each every `interval` seconds; whoever is cut off is a violation."""
    content = server.content[path]

    def ask(client):
        if client.is_open() and not client.waiting:
            first = rng.randrange(len(content) - size)
            client.ask(path, content, first, first + size - 1)

    def done(client, problem):
        tally(client, problem)
        if not client.is_open():
            client = Client(loop, server.port, done)
        loop.after(max(0, interval - client.seconds()), lambda: ask(client))

    for number in range(count):
        client = Client(loop, server.port, done)
        loop.after(interval * number / count, lambda client=client: ask(client))


def idle(seconds):
    """10,000 idle keep-alive connections beside 200 active clients."""
    server, loop, tally, others = Server(), Loop(), Tally(), Tally()
    server.put("big.bin", 8 * MIB, seed)
    server.put("small.txt", 100, seed + 1)
    violations, small = [], server.content["/f/small.txt"]
    with server:
        ranges(loop, server, tally, "/f/big.bin", 64 * KIB, 0.2, 200)
        loop.run(3)
        before = server.memory_kib()
        sleepers = []
        while len(sleepers) < 10_000:
            for _ in range(250):
                client = Client(loop, server.port, others)
                client.ask("/f/small.txt", small)
                sleepers.append(client)
            loop.run(20, lambda: others.events >= len(sleepers))
        grown = (server.memory_kib() - before) / len(sleepers)
        tally.times.clear()
        loop.run(seconds)
        for start in range(0, len(sleepers), 250):
            for client in sleepers[start:start + 250]:
                if client.is_open():
                    client.ask("/f/small.txt", small)
            loop.run(20, lambda: not any(client.waiting for client in sleepers[start:start + 250]))
        violations += tally.problems + others.problems
        if others.events != 20_000:
            violations.append(f"{others.events} of 20000 answers on idle connections")
        if grown > 8:
            violations.append(f"{grown:.1f} KiB for each connection")
        p99 = tally.percentile(0.99) * 1000
        if p99 > 50:
            violations.append(f"p99 of a 64 KiB range {p99:.0f} ms")
        loop.close()
    return report("idle connections", tally.events + others.events, violations,
                  f"{grown:.2f} KiB for each of {len(sleepers)}, p99 {p99:.1f} ms")


def slow_readers(seconds):
    """2,000 clients that read 10 KB/s, each another object of 4 MiB, beside 50 fast ones."""
    server, loop, slow = Server(), Loop(), Tally()
    server.put_many(2000, 4 * MIB, seed)
    # What was written for it is not to be flushed while it is measured.
    os.sync()
    violations = []
    with server:
        alone, beside = Tally(), Tally()
        ranges(loop, server, alone, "/f/0.bin", 64 * KIB, 0.05, 50)
        loop.run(5)
        loop.close()
        loop = Loop()
        before = server.memory_kib()
        readers = []
        for number in range(2000):
            client = Client(loop, server.port, slow, receive_buffer=8 * KIB, pace=(10_000, 1))
            path = f"/f/{number}.bin"
            client.ask(path, server.content[path])
            readers.append(client)
            if number % 100 == 0:
                loop.run(0.05)
        loop.run(3)
        ranges(loop, server, beside, "/f/0.bin", 64 * KIB, 0.05, 50)
        loop.run(seconds)
        grown = (server.memory_kib() - before) / len(readers)
        read = sum(client.position for client in readers)
        violations += slow.problems + beside.problems
        if grown > 64:
            violations.append(f"{grown:.1f} KiB for each slow client")
        base, now = alone.percentile(0.99) * 1000, beside.percentile(0.99) * 1000
        # Below some milliseconds it is the scheduler's two cores that are measured.
        if now > max(2 * base, 20):
            violations.append(f"p99 of fast clients {now:.1f} ms, alone {base:.1f} ms")
        loop.close()
    return report("slow readers", beside.events + len(readers), violations,
                  f"{grown:.1f} KiB for each, {read / MIB:.0f} MiB read and right, fast p99 {base:.1f} -> {now:.1f} ms")


class Trickler(Client):
    """Sends a byte every five seconds, and remembers how long it was let."""

    lived = None

    def begin(self, data, rest):
        self.waiting = True
        self.left = None
        self.rest = rest
        self.send(data)
        self.loop.after(5, self.trickle)

    def trickle(self):
        if self.is_open():
            self.send(self.rest[:1])
            self.loop.after(5, self.trickle)

    def take(self, data):
        pass

    def ended(self, problem):
        self.lived = self.seconds()


def slow_senders(seconds):
    """1,000 clients that trickle a head and 500 that trickle a body, beside 20 fast ones."""
    server, loop, tally = Server(), Loop(), Tally()
    server.put("big.bin", 8 * MIB, seed)
    violations = []
    with server:
        ranges(loop, server, tally, "/f/big.bin", 64 * KIB, 0.1, 20)
        tricklers = []
        for number in range(1500):
            client = Trickler(loop, server.port)
            if number % 3 < 2:
                client.begin(b"GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n", b"X")
            else:
                client.begin(b"POST /f/big.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n", b"y")
            tricklers.append(client)
            if number % 100 == 0:
                loop.run(0.02)
        loop.run(30, lambda: all(client.lived for client in tricklers))
        longest = max(client.lived or 99 for client in tricklers)
        if longest > 13:
            late = sum((client.lived or 99) > 13 for client in tricklers)
            violations.append(f"{late} trickling clients were let longer than header_timeout + 3 s")
        violations += tally.problems
        p99 = tally.percentile(0.99) * 1000
        if p99 > 100:
            violations.append(f"p99 of fast clients {p99:.0f} ms")
        loop.close()
    return report("slow senders", len(tricklers) + tally.events, violations,
                  f"the longest was let {longest:.1f} s, fast p99 {p99:.1f} ms")


def churn(seconds):
    """50,000 connections that are reset at a random byte of request or answer."""
    server, loop = Server(limits='header_timeout = "2s"\nsend_timeout = "2s"'), Loop()
    server.put("big.bin", MIB, seed)
    total, violations = 50_000, []
    request = b"GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server:
        server.health()
        before, opened = server.open_descriptors(), 0

        class Vandal(Client):
            def begin(self):
                cut = rng.randrange(2 * len(request))
                self.enough = rng.randrange(1, MIB) if cut >= len(request) else 0
                self.seen = 0
                self.send(request[:cut])
                if not self.enough:
                    loop.after(rng.random() / 50, self.leave)

            def read(self):
                try:
                    data = self.socket.recv(1 << 18)
                except OSError:
                    return self.leave()
                self.seen += len(data)
                if not data or self.seen >= self.enough:
                    self.leave()

            def leave(self):
                if self.is_open():
                    self.reset()

            def end(self, problem):
                self.leave()

        deadline = time.monotonic() + 300
        while opened < total and time.monotonic() < deadline:
            while len(loop.clients) < 200 and opened < total:
                Vandal(loop, server.port).begin()
                opened += 1
            loop.run(0.05, lambda: len(loop.clients) < 150)
        loop.run(5, lambda: not loop.clients)
        if server.process.poll() is not None:
            violations.append(f"the server has ended with {server.process.returncode}")
        else:
            loop.run(8, lambda: server.open_descriptors() <= before + 8)
            left = server.open_descriptors() - before
            if left > 8:
                violations.append(f"{left} descriptors are left")
            if server.metric("clients_held_bytes") > 1024 * 1024:
                violations.append("the memory budget still counts clients that have left")
            if server.health() != 200:
                violations.append("no health")
        loop.close()
    if opened < total:
        violations.append(f"only {opened} connections in time")
    return report("abuse churn", opened, violations, f"{left if not violations else '?'} descriptors more than before")


def descriptors(seconds):
    """500 clients of a server that may have 128 descriptors."""
    server, loop, tally = Server(descriptors=128), Loop(), Tally()
    server.put("big.bin", 4 * MIB, seed)
    violations = []
    with server:
        clients = []
        for _ in range(500):
            # Most answers block, and a blocked answer wants a further descriptor.
            client = Client(loop, server.port, tally, receive_buffer=8 * KIB, pace=(4096, 1))
            client.ask("/f/big.bin", server.content["/f/big.bin"])
            clients.append(client)
        loop.run(2)
        cpu, checks = server.cpu_seconds(), 0
        start = time.monotonic()
        while time.monotonic() - start < 5:
            try:
                checks += server.health(2) == 200
            except OSError as error:
                violations.append(f"health: {error}")
            loop.run(0.25)
        busy = (server.cpu_seconds() - cpu) / (time.monotonic() - start)
        if busy > 0.2:
            violations.append(f"{busy:.0%} of a core with nothing to do")
        loop.close()
        loop, back, start = Loop(), Tally(), time.monotonic()
        while not (back.events > len(back.problems)) and time.monotonic() - start < 10:
            client = Client(loop, server.port, back)
            client.ask("/f/big.bin", server.content["/f/big.bin"], 0, 999)
            loop.run(1, lambda: not client.waiting)
        seconds_back = time.monotonic() - start
        if seconds_back > 1:
            violations.append(f"service back after {seconds_back:.1f} s")
        loop.close()
    return report("descriptors exhausted", len(clients) + checks, violations,
                  f"{busy:.0%} of a core meanwhile, back after {seconds_back:.2f} s, {checks} health checks")


def http2_abuse(seconds):
    """Floods, resets and shut windows of HTTP/2, on one connection after the other, beside 50 clients of 64 KiB ranges."""
    server, loop, tally = Server(), Loop(), Tally()
    server.put("big.bin", 8 * MIB, seed)
    violations = []
    with server:
        ranges(loop, server, tally, "/f/big.bin", 64 * KIB, 0.1, 50)
        loop.run(3)
        alone, before, peak = tally.percentile(0.99) * 1000, server.memory_kib(), 0
        tally.times.clear()
        abuse = Abuse(server.port, seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            loop.run(0.5)
            peak = max(peak, server.memory_kib())
        p99 = tally.percentile(0.99) * 1000
        counts = abuse.counts()
        loop.run(1)
        violations += tally.problems
        if p99 > 100:
            violations.append(f"p99 of the others {p99:.0f} ms")
        if peak - before > 16 * KIB:
            violations.append(f"{(peak - before) / KIB:.0f} MiB more memory")
        for kind, (opened, ended) in counts.items():
            # The last of each may be under way. Shut windows have the time of send_timeout.
            if ended < opened - 1 or (ended == 0 and kind != "shut windows"):
                violations.append(f"{kind}: {ended} of {opened} connections were ended")
        loop.close()
    opened = sum(count[0] for count in counts.values())
    return report("HTTP/2 abuse", opened + tally.events, violations,
                  f"{opened} connections of {len(counts)} kinds were ended, others' p99 {alone:.1f} -> {p99:.1f} ms, "
                  f"{(peak - before) / KIB:.1f} MiB more at most")


def soaked(name, seconds, server, most_growth):
    media = os.environ.get("HEADWATER_TORTURE_MEDIA", "Tests/Fixtures/media/h264-aac-faststart.mp4")
    server.run("import", "--site", "demo", "--id", "film", media)
    for number, size in enumerate([1000, 100 * KIB, 5 * MIB]):
        server.put(f"{number}.bin", size, seed + number)
    with server:
        events, violations, figures = soak(Loop, server, rng, seconds)
        refused = sum(server.refusals().values()) if figures else 0
    if server.exit_code != 0:
        violations.append(f"it ended with {server.exit_code}")
    if figures.get("KiB grown in 10 min", 0) > most_growth:
        violations.append(f"memory grows by {figures['KiB grown in 10 min']:.0f} KiB in 10 min")
    told = ", ".join(f"{value:.0f} {key}" for key, value in figures.items())
    return report(name, events, violations, f"{told}, {refused} refused")


def mixed(seconds):
    """Mixed load for HEADWATER_SOAK_SECONDS (10 minutes; before a release two hours)."""
    # In the first hour malloc's arenas still fill: 10 MiB in 10 minutes are no leak yet.
    most = 1024 if seconds >= 3600 else 10 * 1024
    return soaked("soak", seconds, Server(), most)


def little_memory(seconds):
    """The same load in 256 MiB of address space, of which the program, its stacks and its index take three quarters at the start."""
    server = Server("threads = 2\nworker_threads = 2", 'memory = "16MiB"\nhot_segments = "8MiB"',
                    more='[store]\nindex_map_size = "64MiB"', address_space=256 * MIB)
    return soaked("soak in 256 MiB of address space", seconds, server, 1 << 30)


def overload(seconds):
    """Three times the load that the server can bear: encrypted transport streams that one worker makes anew for every request.

    The server has a core to itself, and an answer costs it many times what it costs a client to read, or clients would be what is
    measured. The load comes from h2load; a few clients of our own beside it compare every byte.
    """
    cores = os.sched_getaffinity(0)
    first, others = {min(cores)}, cores - {min(cores)} or cores
    os.sched_setaffinity(0, others)
    try:
        return overloaded(seconds, first)
    finally:
        os.sched_setaffinity(0, cores)


def overloaded(seconds, cores):
    server = Server("threads = 1\nworker_threads = 1", 'hot_segments = "0B"', cores=cores,
                    site='[encryption]\nmethod = "aes-128"\nkey_file = "../keys.toml"\n')
    keys = server.root / "etc/keys.toml"
    keys.write_text(f'[default]\nsecret = "{"5a" * 32}"\n')
    keys.chmod(0o600)
    film = server.root / "film.mp4"
    # With noise in it, so that segments have the size of real ones: 3 MB.
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=12,noise=alls=12:allf=t",
         "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=12", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M",
         "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", film], check=True)
    server.run("import", "--site", "demo", "--id", "film", str(film))
    violations = []
    with server:
        def get(path):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
                return answer.read()

        path = "/v/film/master_ts.m3u8"
        for _ in range(2):
            path = urllib.parse.urljoin(path, re.search(r"^[^#\n].*", get(path).decode(), re.M)[0])
        content = get(path)

        def start(seconds, connections, name, *options):
            log = server.root / f"h2load-{name}"
            # It would add to it.
            log.unlink(missing_ok=True)
            return log, subprocess.Popen(
                ["h2load", "--h1", "-c", str(connections), "-D", str(int(seconds)), f"--log-file={log}", *options,
                 f"http://127.0.0.1:{server.port}{path}"], stdout=subprocess.DEVNULL)

        def answers(log, process):
            """When each answer had come as a whole, its status, and how long it took, in seconds."""
            if process.wait() != 0:
                raise SystemExit("h2load failed")
            for begun, status, took in (map(int, line.split("\t")) for line in log.read_text().splitlines()):
                # What it cut off itself at its end has none.
                if status > 0:
                    yield (begun + took) / 1e6, status, took / 1e6

        def capacity(seconds):
            """Answers in a second while there is always work, and no more than may wait."""
            found = list(answers(*start(seconds, 32, "capacity")))
            violations.extend(f"status {status} without overload" for _, status, _ in found if status != 200)
            return len(found) / seconds

        loop, compared, health = Loop(), Tally(), []

        def done(client, problem):
            refused = client.status == 503 and "retry-after" in client.fields
            compared(client, None if refused else problem)
            client.close()
            loop.after(0.5, lambda: Client(loop, server.port, done).ask(path, content))

        def look(until):
            """Lets the clients go on, and asks for the server's health twice a second."""
            while time.time() < until:
                began = time.monotonic()
                try:
                    server.health(2)
                except OSError as error:
                    violations.append(f"health: {error}")
                health.append(time.monotonic() - began)
                loop.run(min(0.5, until - time.time()))

        capacity(1)
        before = sorted(capacity(2) for _ in range(3))[1]
        offered = 3 * before
        for _ in range(4):
            Client(loop, server.port, done).ask(path, content)
        # Each connection of h2load asks once in a period, all of one process at once: so there are many of them, one after the
        # other. Who waits longer than a period asks less.
        processes, period = 20, 2.5
        each = max(1, round(offered * period / processes))
        started = []
        for number in range(processes):
            started.append(start(seconds + 2 * period, each, number, f"--rps={1 / period}"))
            look(time.time() + period / processes)
        begin = time.time()
        idle, _ = server.idle_share(lambda: look(begin + seconds))
        found = [(status, took) for each in started for at, status, took in answers(*each) if begin <= at < begin + seconds]
        loop.close()
        # What it was to be within five seconds.
        after = max(capacity(2) for _ in range(2))
    good_seconds = [took for status, took in found if status == 200]
    refusal_seconds = [took for status, took in found if status == 503]
    violations += compared.problems + [f"status {status}" for status, _ in found if status not in (200, 503)]
    goodput, asked = len(good_seconds) / seconds, len(found) / seconds
    if not refusal_seconds:
        violations.append("nobody was refused: it was no overload")
    if asked < 0.9 * offered:
        violations.append(f"only {asked:.0f} were asked for a second, and not {offered:.0f}")
    if goodput < 0.8 * before:
        violations.append(f"goodput {goodput / before:.0%} of capacity")
    if idle > 0.1:
        violations.append(f"its core was idle for {idle:.0%} of the time")
    late = sum(time > 1 for time in refusal_seconds)
    if late:
        violations.append(f"{late} refusals took more than 1 s")
    worst, slowest, longest = (max(times, default=0) * 1000 for times in (health, refusal_seconds, good_seconds))
    if worst > 100:
        violations.append(f"health took {worst:.0f} ms")
    if after < 0.95 * before:
        violations.append(f"after it {after:.0f} of {before:.0f} answers a second")
    return report("overload", len(found), violations,
                  f"capacity {before:.0f}/s, offered {asked:.0f}/s, answered {goodput:.0f}/s ({goodput / before:.0%}), the "
                  f"slowest after {longest:.0f} ms; {len(refusal_seconds)} refused, the slowest after {slowest:.0f} ms; {compared.events} compared; "
                  f"its core idle {idle:.0%}; health {worst:.0f} ms at most; after it {after:.0f}/s")


soak_seconds = float(os.environ.get("HEADWATER_SOAK_SECONDS", 600))
parts = {"idle": (idle, 60), "slow-readers": (slow_readers, 60), "slow-senders": (slow_senders, 20),
         "overload": (overload, 30), "churn": (churn, 60), "descriptors": (descriptors, 5),
         "http2-abuse": (http2_abuse, 60), "soak": (mixed, soak_seconds),
         "little-memory": (little_memory, soak_seconds / 5)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, help="how long each part bears its load")
    parser.add_argument("names", nargs="*", choices=[[], *parts], metavar="NAME", help=", ".join(parts))
    options = parser.parse_args()
    print(f"seed {seed}")
    passed = [parts[name][0](options.seconds or parts[name][1]) for name in options.names or parts]
    sys.exit(0 if all(passed) else 1)
