#!/usr/bin/env python3
"""Measures what the plugins cost, and what viewers notice when Redis fails.

    scripts/bench-plugins.py                 all parts, about 18 minutes
    scripts/bench-plugins.py cost            the rows of bench.py without a plugin and with all of them
    scripts/bench-plugins.py instructions    the same, counted by callgrind
    scripts/bench-plugins.py redis           media requests while Redis is healthy, and in eight kinds of trouble
    scripts/bench-plugins.py cost --only 1k  only the rows whose name contains this
    scripts/bench-plugins.py --rounds 9 --seconds 2   other rounds than those
    scripts/bench-plugins.py --write         also writes the tables into docs/PERFORMANCE.md, between its markers

cost: two servers with the same media, one without any plugin, one with all of them at work: headers, cdn with an edge that wants
tags and a cache rule, redis with metadata from elsewhere, engagement, thumbnails, transcode, jobs in Redis. Rounds are interleaved and
who comes first alternates; the ratio of a row is the median of the ratios of its rounds, so that what else the machine does
is in both.

instructions: what a request takes of the program's own instructions and system calls, the same every time where times are a tenth
apart. What plugins add to the CPU time of a row is what they add to its instructions, as that share of the time which the row
spends in the program and not in the kernel, where system calls are as many as before. What a server does by itself, asked or not,
is counted while nobody asks, and taken off; callgrind slows requests down fifty times, and not the clock. It is told in CPU time.

redis: one server whose plugins redis and engagement and whose jobs are in one Redis, behind an intermediary that can be slow, reset,
answer LOADING or garbage. Four viewers ask for 250 things a second each, with CMCD; beside them come beacons, metadata and
jobs. A phase with a healthy Redis goes before each phase with trouble, and the difference of their 99th percentiles is
the median over the rounds.
"""

import argparse
import array
import datetime
import http.client
import http.server
import multiprocessing
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench

MARKERS = ("<!-- bench-plugins:begin -->", "<!-- bench-plugins:end -->")
#: What all plugins together may add to a row that sends what is stored.
MOST_CPU_RATIO = 1.03
#: What trouble in Redis may add to the 99th percentile of media requests.
MOST_ADDED_MS = 5.0
MOST_CALL_MS = 500.0
MOST_RECOVERY_MS = 2000.0


def all_plugins(redis_port, outside_port, limits_media):
    """The tables of a site, and those of the server."""
    url = f'url = "redis://127.0.0.1:{redis_port}/0"\n'
    site = (
        '[[plugins.headers.rules]]\nset = { "X-Content-Type-Options" = "nosniff" }\n'
        f"[plugins.redis]\n{url}memory_fresh = \"100ms\"\n"
        f'upstream_url = "http://127.0.0.1:{outside_port}/videos/{{id}}"\nupstream_allow_private = true\n'
        f"[plugins.engagement]\n{url}beacon_rate = 0\n"
        + ('media_rate = 1000000\nmedia_per = "1s"\nmedia_burst = 1000000\n' if limits_media else "")
        + "realtime_interval = \"1s\"\n"
        "[plugins.thumbnails]\nenabled = true\n[plugins.transcode]\nenabled = true\n"
        '[plugins.cdn]\n[[plugins.cdn.edges]]\nname = "edge"\nvendor = "varnish"\nurls = ["http://localhost"]\n'
        f'servers = ["http://127.0.0.1:{outside_port}"]\nedge_max_age = "24h"\n'
    )
    return site, f'[jobs]\nworkers = "off"\nqueue = "redis://127.0.0.1:{redis_port}/0"\n'


class Agreeable(http.server.BaseHTTPRequestHandler):
    """A cache that takes every purge, and a site's own system that knows every video."""

    protocol_version = "HTTP/1.1"

    def do_PURGE(self):
        self.answer(b"")

    do_BAN = do_PURGE

    def do_GET(self):
        self.answer(b'{"title": "A film", "privacy": "public"}')

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start_outside():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agreeable)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


# --- What plugins cost ---------------------------------------------------------------------------------------


def cost(options, folder, rounds, seconds):
    redis = bench.Redis(shutil.which("redis-server"), folder / "redis")
    servers = []
    try:
        for name, (site, tables) in {
            "no plugin": ("", ""), "all plugins": all_plugins(redis.port, start_outside(), options.media_rate)
        }.items():
            home = folder / name.replace(" ", "-")
            home.mkdir()
            bench.make_certificate(home)
            server = bench.Headwater(options.binary, home, site, tables)
            server.name = name
            bench.store_media(server, home, bench.SIZES)
            server.start()
            servers.append(server)
        video, audio = bench.segments(servers[0], "film")
        playlist, _ = bench.transport_segments(servers[0], "film")
        Scenario = bench.Scenario
        stored = [
            Scenario("1k object, 64 connections", 64, ["/f/1k"]),
            Scenario("1k object, 2000 connections", 2000, ["/f/1k"]),
            Scenario("64k range at random, 64 connections", 64, ["/f/64m"], ranges=(bench.SIZES["64m"], 65536)),
            Scenario("1m object, 64 connections", 64, ["/f/1m"]),
            Scenario("100m download, 8 connections", 8, ["/f/100m"]),
            Scenario("TLS: 1k object, 64 connections", 64, ["/f/1k"], tls=True),
            Scenario("TLS: 1m object, 64 connections", 64, ["/f/1m"], tls=True),
            bench.HTTP2Scenario("HTTP/2 over TLS: 1k object, 16 connections of 16 streams", 16, 16, ["/f/1k"]),
        ]
        made = [
            Scenario("HLS video segments made on request, 64 connections", 64, video),
            Scenario("HLS audio segments made on request, 64 connections", 64, audio),
            Scenario("HLS playlist, 64 connections", 64, [playlist]),
        ]
        rows, failures = [], []
        for scenario in stored + made:
            if options.only not in scenario.name:
                continue
            print(f"bench: {scenario.name}", file=sys.stderr)
            found = {server.name: [] for server in servers}
            for number in range(rounds):
                for server in servers if number % 2 == 0 else servers[::-1]:
                    found[server.name].append(
                        bench.run_h2load(server, scenario, seconds) if isinstance(scenario, bench.HTTP2Scenario)
                        else bench.run_wrk(server, scenario, seconds, folder))
            without, every = found["no plugin"], found["all plugins"]

            def ratio(key):
                return statistics.median(b[key] / a[key] for a, b in zip(without, every) if a[key])

            before, after = bench.median(without), bench.median(every)
            failed = before["failed"] + after["failed"]
            if failed:
                failures.append(f"{scenario.name}: {failed:.0f} failed")
            if scenario in stored and ratio("cpu_us") > MOST_CPU_RATIO:
                failures.append(f"{scenario.name}: CPU ratio {ratio('cpu_us'):.3f}, limit {MOST_CPU_RATIO}")
            rows.append([
                scenario.name, f"{before['rate']:,.0f}", f"{after['rate']:,.0f}", f"{ratio('rate'):.3f}",
                f"{before['cpu_us']:,.2f}", f"{after['cpu_us']:,.2f}", f"{ratio('cpu_us'):.3f}"])
        return bench.table(
            ["scenario", "req/s", "all plugins", "ratio", "CPU µs/req", "all plugins", "ratio"], rows), failures
    finally:
        for server in [*servers, redis]:
            server.stop()


# --- What plugins cost, without the machine's noise -------------------------------------------------------------

#: How many requests are counted, no more than a thousand on a connection, and before that are made so that nothing is done for the
#: first time.
COUNTED, BEFOREHAND = 20_000, 2_000


class Counted(bench.Headwater):
    """A server under callgrind."""

    def __init__(self, binary, folder, site, tables):
        # Valgrind has less room for maps than the index would take by itself.
        super().__init__(binary, folder, site, tables + '[store]\nindex_map_size = "256MiB"\n')
        # It cannot read the debugging information that Swift writes.
        plain = folder / "headwater"
        subprocess.run(["strip", "-g", "-o", str(plain), self.binary], check=True)
        self.profile = folder / "profile"
        self.under = folder / "under-callgrind"
        self.under.write_text(
            f"#!/bin/sh\nexec valgrind --tool=callgrind --log-file={folder}/valgrind.log "
            f'--callgrind-out-file={self.profile} {plain} "$@"\n')
        self.under.chmod(0o755)

    def start(self):
        binary, self.binary = self.binary, str(self.under)
        super().start()
        self.binary = binary

    def control(self, option):
        subprocess.run(
            ["callgrind_control", option, str(self.process.pid)], check=True, stdout=subprocess.DEVNULL)

    def count(self, ask):
        """Instructions while `ask` runs."""
        self.control("--zero")
        ask()
        self.control("--dump")
        dump = max(self.profile.parent.glob("profile.*"), key=lambda file: int(file.suffix[1:]))
        return int(re.search(r"^totals: (\d+)", dump.read_text(), re.M)[1])


def system_calls(server, ask, log):
    """How many the program makes while `ask` runs, but for those that wait."""
    process = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(log), "-p", str(server.process.pid)], stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    ask()
    process.send_signal(signal.SIGINT)
    process.communicate()
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*?(\w+)$", log.read_text(), re.M)
    return sum(int(count) for count, name in rows if name not in ("total", "epoll_wait", "restart_syscall"))


def besides_idling(count, ask):
    """What `count` counts while `ask` runs, without what it counts in the same time while nobody asks."""
    began = time.monotonic()
    found = count(ask)
    took = time.monotonic() - began
    return max(0, found - count(lambda: time.sleep(took)))


def instructions(options, folder, rounds, seconds):
    for name in ("valgrind", "strip", "strace"):
        if not shutil.which(name):
            bench.fail(f"{name} is missing: scripts/install-deps.sh bench")
    redis = bench.Redis(shutil.which("redis-server"), folder / "redis")
    servers = []
    try:
        every = all_plugins(redis.port, start_outside(), options.media_rate)
        kinds = [(bench.Headwater, "", ""), (bench.Headwater, *every), (Counted, "", ""), (Counted, *every)]
        for number, (kind, site, tables) in enumerate(kinds):
            home = folder / str(number)
            home.mkdir()
            bench.make_certificate(home)
            server = kind(options.binary, home, site, tables)
            bench.store_media(server, home, {"1k": 1024, "64m": 64 * bench.MIB})
            server.start()
            servers.append(server)
        playlist, _ = bench.transport_segments(servers[0], "film")
        one_range = ["-H", "Range: bytes=1000000-1065535"]
        rows, failures = [], []
        for name, path, tls, words, is_stored in [
            ("1k object", "/f/1k", False, ["--h1"], True),
            ("64k range", "/f/64m", False, ["--h1", *one_range], True),
            ("TLS: 1k object", "/f/1k", True, ["--h1"], True),
            ("HTTP/2 over TLS: 1k object", "/f/1k", True, ["-m", "16"], True),
            ("HLS playlist", playlist, False, ["--h1"], False),
        ]:
            if options.only not in name:
                continue
            print(f"bench: {name}", file=sys.stderr)

            def ask(server, count):
                done = subprocess.run(
                    ["h2load", "-n", str(count), "-c", str(COUNTED // 1000), *words, server.url(path, tls)], capture_output=True, text=True)
                if f"{count} succeeded" not in done.stdout:
                    bench.fail(f"h2load, {name}: {done.stdout}{done.stderr}")

            plain, every_plain, *counted = servers
            shares = []
            for _ in range(rounds):
                before = bench.user_and_system_seconds(plain.process.pid)
                for _ in range(5):
                    ask(plain, COUNTED)
                user, system = (b - a for a, b in zip(before, bench.user_and_system_seconds(plain.process.pid)))
                shares.append(user / (user + system))
            found = []
            for server in counted:
                ask(server, BEFOREHAND)
                found.append(besides_idling(server.count, lambda: ask(server, COUNTED)) / COUNTED)
            before, after = found
            calls = [
                besides_idling(
                    lambda wait: system_calls(server, wait, folder / "strace"), lambda: ask(server, COUNTED)) / COUNTED
                for server in (plain, every_plain)]
            share = statistics.median(shares)
            ratio = 1 + (after / before - 1) * share
            rows.append([
                name, f"{before:,.0f}", f"{after:,.0f}", f"{after / before:.3f}", f"{calls[0]:.2f}", f"{calls[1]:.2f}",
                f"{share:.0%}", f"{ratio:.3f}"])
            if is_stored and calls[1] > calls[0] + 0.05:
                failures.append(f"{name}: {calls[1]:.2f} system calls, without plugins {calls[0]:.2f}")
            if is_stored and ratio > MOST_CPU_RATIO:
                failures.append(f"{name}: CPU ratio {ratio:.3f} by instructions, limit {MOST_CPU_RATIO}")
        idle = []
        for server in servers[:2]:
            before = bench.cpu_seconds(server.process.pid)
            time.sleep(20)
            idle.append((bench.cpu_seconds(server.process.pid) - before) * 1000 / 20)
        rows.append(["nobody asks: CPU ms a second", f"{idle[0]:.1f}", f"{idle[1]:.1f}"] + ["-"] * 5)
        return bench.table(
            ["a request for", "instructions", "all plugins", "ratio", "system calls", "all plugins",
             "of CPU in the program", "CPU ratio"], rows), failures
    finally:
        for server in [*servers, redis]:
            server.stop()


# --- What viewers notice of Redis ----------------------------------------------------------------------------


class Intermediary:
    """`Tests/Support/redis-between.py`: stands between the server and Redis, and does as it is told with each command."""

    script = bench.ROOT / "Tests/Support/redis-between.py"

    def __init__(self, folder):
        self.mode = folder / "mode"
        self.port = 0

    def start(self, redis_port):
        self.behave("pass")
        self.process = subprocess.Popen(
            [sys.executable, str(self.script), str(self.mode), str(redis_port), str(self.port)],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            bench.fail("the intermediary of Redis did not start")
        self.port = int(line.split()[1])

    def behave(self, mode):
        self.mode.write_text(mode)

    def kill(self):
        self.process.kill()
        self.process.wait()


def ask(connection, method, path, fields):
    """The status of an answer that has come as a whole, or 0."""
    try:
        connection.request(method, path, headers=fields)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0


def client(port, requests, per_second, until, results, number):
    """Asks at an even rate until a time of the monotonic clock; what it found goes into `results` at its end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    milliseconds, statuses = array.array("d"), {}
    due = time.monotonic() + number / per_second / 4
    count = 0
    while (now := time.monotonic()) < until:
        if due > now:
            time.sleep(due - now)
        # One that was late does not make up for it: that would be another load.
        due = max(due, now - 0.05) + 1 / per_second
        method, path, fields = requests[count % len(requests)]
        count += 1
        start = time.perf_counter()
        status = ask(connection, method, path.replace("{n}", f"{number}-{time.monotonic_ns()}"), fields)
        milliseconds.append((time.perf_counter() - start) * 1000)
        statuses[status] = statuses.get(status, 0) + 1
    results.put((number, milliseconds.tobytes(), statuses))


def phase(server, media, calls, jobs, seconds):
    """Latencies and statuses of media requests, of calls of plugins and of jobs, while all go on for some seconds."""
    results = multiprocessing.Queue()
    until = time.monotonic() + seconds
    clients = [
        multiprocessing.Process(target=client, args=(server.port, media, 250, until, results, number), daemon=True)
        for number in range(4)
    ] + [
        multiprocessing.Process(target=client, args=(server.port, requests, rate, until, results, number), daemon=True)
        for number, requests, rate in ((4, calls, 80), (5, jobs, 10))
    ]
    for each in clients:
        each.start()
    found = {name: (array.array("d"), {}) for name in ("media", "calls", "jobs")}
    for _ in clients:
        number, raw, statuses = results.get(timeout=seconds + 60)
        times, counts = found["media" if number < 4 else "calls" if number == 4 else "jobs"]
        times.frombytes(raw)
        for status, count in statuses.items():
            counts[status] = counts.get(status, 0) + count
    for each in clients:
        each.join()
    return found


def redis_command(port, *words):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        connection.sendall(text.encode())
        return connection.recv(4096)


class Trouble:
    """Something that Redis does, and how it ends."""

    def __init__(self, redis, between, restart):
        self.redis, self.between, self.restart = redis, between, restart
        self.kinds = {
            "killed": (self.kill, self.revive),
            "stopped (SIGSTOP)": (
                lambda: self.redis.process.send_signal(signal.SIGSTOP),
                lambda: self.redis.process.send_signal(signal.SIGCONT)),
            "500 ms slow": self.by("slow"),
            "resetting": self.by("reset"),
            "LOADING": self.by("loading"),
            "OOM": (
                lambda: self.set("maxmemory", "1"), lambda: self.set("maxmemory", "0")),
            "READONLY": (
                lambda: redis_command(self.redis.port, "REPLICAOF", "127.0.0.1", "1"),
                lambda: redis_command(self.redis.port, "REPLICAOF", "NO", "ONE")),
            "garbage": self.by("garbage"),
        }

    def by(self, mode):
        return lambda: self.between.behave(mode), lambda: self.between.behave("pass")

    def set(self, key, value):
        redis_command(self.redis.port, "CONFIG", "SET", key, value)

    def kill(self):
        self.between.kill()
        self.redis.process.kill()
        self.redis.process.wait()

    def revive(self):
        self.redis = self.restart()
        self.between.start(self.redis.port)


def until_calls_pass(server, calls):
    """Milliseconds until each kind of call is answered as in health."""
    start = time.monotonic()
    for method, path, fields in calls:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            status = ask(connection, method, path.replace("{n}", f"x-{time.monotonic_ns()}"), fields)
            connection.close()
            if status in (200, 204):
                break
            if time.monotonic() - start > 30:
                bench.fail(f"{method} {path} is still answered by {status}, 30 s after Redis is back")
            time.sleep(0.02)
    return (time.monotonic() - start) * 1000


def redis_trouble(options, folder, rounds, seconds):
    program = shutil.which("redis-server")
    numbers = iter(range(1000))

    def start_redis():
        return bench.Redis(program, folder / f"redis-{next(numbers)}")

    between = Intermediary(folder)
    trouble = Trouble(start_redis(), between, start_redis)
    between.start(trouble.redis.port)
    server = None
    try:
        home = folder / "server"
        home.mkdir()
        bench.make_certificate(home)
        server = bench.Headwater(options.binary, home, *all_plugins(between.port, start_outside(), limits_media=True))
        bench.store_media(server, home, {"1k": 1024, "64m": 64 * bench.MIB})
        server.start()
        video, audio = bench.segments(server, "film")
        range_field = {"Range": "bytes=1000000-1065535"}
        media = [
            ("GET", f"{path}?CMCD=br%3D3000%2Csid%3D%22viewer-{{n}}%22", fields)
            for path, fields in [
                ("/v/film/master.m3u8", {}), ("/f/1k", {}), (video[0], range_field), (audio[1], {}),
                ("/f/64m", range_field), ("/v/film/manifest.mpd", {}), (audio[2], {}), ("/v/film/source", range_field),
            ]
        ]
        token = {"Authorization": f"Bearer {server.token}"}
        calls = [
            ("POST", "/api/v1/videos/film/view?watched=31&viewer=viewer-{n}", {}),
            ("POST", "/api/v1/videos/film/progress?position=1&viewer=viewer-{n}", {}),
            ("GET", "/api/v1/videos/film/engagement", token),
            ("DELETE", "/api/v1/videos/film/metadata", token),
        ]
        jobs = [("GET", "/api/v1/jobs", token)]
        until_calls_pass(server, calls + jobs)
        phase(server, media, calls, jobs, 1)
        found = {name: [] for name in trouble.kinds}
        for number in range(rounds):
            for name, (begin, end) in trouble.kinds.items():
                print(f"bench: round {number + 1} of {rounds}: {name}", file=sys.stderr)
                healthy = phase(server, media, calls, jobs, seconds)
                begin()
                troubled = phase(server, media, calls, jobs, seconds)
                end()
                back = until_calls_pass(server, calls)
                until_calls_pass(server, jobs)
                found[name].append((healthy, troubled, back))
        rows, failures = [], []
        for name, results in found.items():
            times = [[percentile(each[part]["media"][0], 0.99) for each in results] for part in (0, 1)]
            added = statistics.median(b - a for a, b in zip(*times))
            count = sum(len(each[1]["media"][0]) for each in results)
            lost = sum(
                many for each in results for part in (0, 1) for status, many in each[part]["media"][1].items()
                if status not in (200, 206))
            longest = max(max(each[1]["media"][0]) for each in results)
            call = max(max(each[1]["calls"][0]) for each in results)
            job = max(max(each[1]["jobs"][0]) for each in results)
            answers = {}
            for each in results:
                for status, many in each[1]["calls"][1].items():
                    answers[status] = answers.get(status, 0) + many
            back = statistics.median(each[2] for each in results)
            rows.append([
                name, f"{count:,}", lost, f"{statistics.median(times[0]):.2f}", f"{statistics.median(times[1]):.2f}",
                f"{added:+.2f}", f"{longest:.0f}", " ".join(f"{many}×{status}" for status, many in sorted(answers.items())),
                f"{call:.0f}", f"{back:,.0f}", f"{job:,.0f}"])
            if lost:
                failures.append(f"Redis {name}: {lost} media requests failed")
            for what, value, most in [
                ("99th percentile of media", added, MOST_ADDED_MS), ("longest call", call, MOST_CALL_MS),
                ("until calls pass", back, MOST_RECOVERY_MS),
            ]:
                if value > most:
                    failures.append(f"Redis {name}: {what} {value:.1f} ms, limit {most:.0f}")
            if any(status not in (200, 204, 503) for status in answers):
                failures.append(f"Redis {name}: calls are answered by {answers}")
        return bench.table(
            ["Redis is", "media requests", "failed", "p99 ms, healthy", "p99 ms", "added", "longest ms",
             "plugins' answers", "longest call ms", "calls pass again after ms", "longest of jobs ms"], rows), failures
    finally:
        if server:
            server.stop()
        between.kill()
        trouble.redis.process.send_signal(signal.SIGCONT)
        trouble.redis.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="cost, instructions, redis; without any: all")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument(
        "--media-rate", action="store_true", help="cost: with a limit of each address's requests for media, which is off by itself")
    parser.add_argument("--only", default="")
    parser.add_argument("--binary", default=bench.ROOT / ".build/release/headwater")
    options = parser.parse_args()
    parts = {"cost": (cost, 7, 2), "instructions": (instructions, 3, 0), "redis": (redis_trouble, 3, 3)}
    for part in options.parts:
        if part not in parts:
            parser.error(f"no part {part}: {', '.join(parts)}")
    for name in ("wrk", "h2load", "redis-server", "ffmpeg"):
        if not shutil.which(name):
            bench.fail(f"{name} is missing: scripts/install-deps.sh bench test")
    if not os.access(options.binary, os.X_OK):
        bench.fail(f"no program at {options.binary}: make build")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536, hard))
    commit = subprocess.run(
        ["git", "-C", str(bench.ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    report, failures = [
        f"{datetime.date.today()}, commit {commit.stdout.strip()}; {bench.processor()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}."], []
    for name, (part, rounds, seconds) in parts.items():
        if options.parts and name not in options.parts:
            continue
        folder = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
        try:
            table, failed = part(options, folder, options.rounds or rounds, options.seconds or seconds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        report.append(table)
        failures += failed
    text = "\n\n".join(report)
    print(text)
    if options.write:
        bench.write_document(text, markers=MARKERS)
    if failures:
        bench.fail("\n" + "\n".join(failures))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
