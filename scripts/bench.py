#!/usr/bin/env python3
"""Measures Headwater beside nginx on this machine: same files, same client, two threads each.

    scripts/bench.py             median of five interleaved rounds, about 12 minutes
    scripts/bench.py --quick     two short rounds, about 3 minutes
    scripts/bench.py --write     also writes the tables into docs/PERFORMANCE.md, between its markers
    scripts/bench.py --only 1k   only the rows whose name contains this
    scripts/bench.py --rounds 9 --seconds 2   other rounds than those
    scripts/bench.py --redis     with the plugin redis on, and a Redis of its own: what that costs all other rows

HTTP/1.1 on loopback, plain unless a row says TLS or HTTP/2, warm page cache unless one says cold. Server and client share
the cores, so the rate shows both; the CPU time of the server for one request (user and system, from /proc) shows the server
alone. nginx reads the very files of Headwater's storage (hard links); what Headwater makes on request was
fetched from it before, and nginx sends that as static files. A difference in the bytes ends the run. TLS has the
same certificate, ciphers and groups on both sides. nginx runs
twice: as Debian's nginx.conf has it, which the ratios and the limits are beside, and tuned: without `tcp_nopush`.
"""

import argparse
import datetime
import json
import os
import platform
import random
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
import urllib.parse
import urllib.request
from multiprocessing import Process, Value
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKERS = ("<!-- bench:begin -->", "<!-- bench:end -->")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


def fail(message):
    sys.exit(f"bench: {message}")


# --- Processes -----------------------------------------------------------------------------------------------


def tree(pid):
    """The process and its children, grandchildren included."""
    pids = [pid]
    for parent in pids:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = Path(f"/proc/{parent}/task/{task}/children").read_text()
                pids += [int(child) for child in children.split()]
        except FileNotFoundError:
            pass
    return pids


def user_and_system_seconds(pid):
    """Both times of a process tree so far."""
    user = system = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS, system / TICKS


def cpu_seconds(pid):
    return sum(user_and_system_seconds(pid))


def pss_kib(pid):
    """Memory of a process tree; what is shared is counted by its share."""
    total = 0
    for each in tree(pid):
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))
    return total


class Server:
    """A program that serves on a loopback port until `stop`."""

    name = ""
    process = None
    port = 0
    tls_port = 0

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def url(self, path, tls=False):
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def get(self, path):
        with urllib.request.urlopen(self.url(path), timeout=60) as answer:
            return answer.read()


class Headwater(Server):
    name = "Headwater"

    token = "a token of the benchmark, and of nothing else"

    def __init__(self, binary, folder, site="", tables=""):
        """`site` and `tables` are added to the files of the site and of the server."""
        self.binary = str(binary)
        self.folder = folder
        self.storage = folder / "storage"
        self.storage.mkdir()
        (folder / "etc/sites").mkdir(parents=True)
        self.config = str(folder / "etc/headwater.toml")
        Path(self.config).write_text(
            f'[server]\nlisten = ["127.0.0.1:0", "127.0.0.1:0 tls"]\nadmin = ""\nthreads = 2\n'
            f'storage = "{self.storage}"\n'
            f'[tls]\ncertificate = "{folder}/tls.pem"\nkey_file = "{folder}/tls.key"\n'
            '[log]\nlevel = "warning"\naccess = "off"\n' + tables
        )
        (folder / "etc/bench.token").write_text(self.token)
        (folder / "etc/bench.token").chmod(0o600)
        (folder / "etc/sites/bench.toml").write_text(
            'hosts = ["*"]\n[api]\ntokens = [{ id = "bench", secret_file = "../bench.token" }]\n' + site
        )

    def command(self, *words):
        done = subprocess.run(
            [self.binary, *words, "--config", self.config], capture_output=True, text=True, timeout=300
        )
        if done.returncode != 0:
            fail(f"headwater {' '.join(words)}: {done.stderr}")
        return done.stdout

    def start(self):
        log = open(self.folder / "headwater.log", "ab")
        self.process = subprocess.Popen(
            [self.binary, "serve", "--config", self.config], stdout=subprocess.PIPE, stderr=log
        )
        for raw in self.process.stdout:
            found = re.search(rb"listening (https?)://127\.0\.0\.1:(\d+)", raw)
            if found and found.group(1) == b"http":
                self.port = int(found.group(2))
            elif found:
                self.tls_port = int(found.group(2))
                # Whatever it prints later must not fill the pipe.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        fail("headwater did not start: " + (self.folder / "headwater.log").read_text()[-2000:])

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()


class Redis(Server):
    """A Redis that keeps nothing on disk."""

    name = "Redis"

    def __init__(self, program, folder):
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        fail("redis-server did not start")


class Nginx(Server):
    """nginx with the `sendfile` and `tcp_nopush` of Debian's nginx.conf, or with the latter switched off."""

    def __init__(self, program, folder, root, tcp_nopush):
        self.name = "nginx" if tcp_nopush else "nginx without tcp_nopush"
        self.program = program
        self.folder = folder
        self.root = root
        self.folder.mkdir(parents=True)
        self.root.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free, socket.socket() as other:
            free.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port, self.tls_port = free.getsockname()[1], other.getsockname()[1]
        temporary = "".join(
            f"  {kind}_temp_path {folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        (folder / "nginx.conf").write_text(
            f"""{"user root;" if os.getuid() == 0 else ""}
worker_processes 2;
worker_rlimit_nofile {resource.getrlimit(resource.RLIMIT_NOFILE)[0]};
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
{temporary}  access_log off;
  sendfile on;
  tcp_nopush {"on" if tcp_nopush else "off"};
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=600s;
  open_file_cache_valid 600s;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{self.port} reuseport backlog=4096;
    root {self.root};
  }}
  server {{
    listen 127.0.0.1:{self.tls_port} ssl http2 reuseport backlog=4096;
    ssl_certificate {folder.parent}/tls.pem;
    ssl_certificate_key {folder.parent}/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    ssl_ciphers ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    root {self.root};
  }}
}}
"""
        )

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        fail("nginx did not start: " + (self.folder / "error.log").read_text()[-2000:])

    def publish(self, path, source):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            target.write_bytes(source)
        else:
            os.link(source, target)

    def version(self):
        done = subprocess.run([self.program, "-v"], capture_output=True, text=True)
        return done.stderr.strip().replace("nginx version: ", "")


# --- What is served ------------------------------------------------------------------------------------------


def make_film(target):
    """30 s of 720p with noise in it, so that segments have the size of real ones; key frame every 2 s."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi",
         "-i", "testsrc2=size=1280x720:rate=25:duration=30,noise=alls=12:allf=t",
         "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=30",
         "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M",
         "-pix_fmt", "yuv420p", "-g", "50", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "128k", "-ac", "2",
         "-movflags", "+faststart", "-f", "mp4", str(part)],
        check=True,
    )
    part.rename(target)


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.pem")],
        check=True, capture_output=True,
    )
    (folder / "tls.key").chmod(0o600)


def segments(server, asset):
    """Paths of the media segments of the first video playlist and the first audio playlist."""
    base = f"/v/{asset}/master.m3u8"
    master = server.get(base).decode()
    video = re.search(r"#EXT-X-STREAM-INF:.*\n(\S+)", master)
    audio = re.search(r'#EXT-X-MEDIA:[^\n]*URI="([^"]+)"', master)
    if not video or not audio:
        fail(f"no video and audio playlists in {base}:\n{master}")
    found = []
    for reference in (video.group(1), audio.group(1)):
        playlist = urllib.parse.urljoin(base, reference)
        lines = server.get(playlist).decode().split("\n")
        found.append([urllib.parse.urljoin(playlist, line) for line in lines if line and line[0] != "#"])
    return found


def transport_segments(server, asset):
    """Paths of the transport stream segments of the first variant."""
    base = f"/v/{asset}/master_ts.m3u8"
    variant = re.search(r"#EXT-X-STREAM-INF:.*\n(\S+)", server.get(base).decode())
    if not variant:
        fail(f"no variant in {base}")
    playlist = urllib.parse.urljoin(base, variant.group(1))
    lines = server.get(playlist).decode().split("\n")
    return playlist, [urllib.parse.urljoin(playlist, line) for line in lines if line and line[0] != "#"]


#: Bytes of the objects that are read hot.
SIZES = {"1k": 1024, "1m": MIB, "64m": 64 * MIB, "100m": 100 * MIB}


def store_media(headwater, folder, sizes):
    """Puts objects of these sizes and the film into the storage."""
    generator = random.Random(1)
    made = folder / "made"
    made.mkdir()
    block = generator.randbytes(MIB)
    for name, size in sizes.items():
        with open(made / name, "wb") as file:
            file.write(name.encode().ljust(16))
            while file.tell() < size:
                file.write(block[: size - file.tell()])
    headwater.command("put", "--site", "bench", "--recursive", "", str(made))
    film = ROOT / ".run/bench-film.mp4"
    make_film(film)
    headwater.command("import", "--site", "bench", "--id", "film", str(film))
    shutil.rmtree(made)


def publish(headwater, nginx, folder):
    """Puts the same bytes behind the same paths of both; the film's segments are made by Headwater."""
    sizes = SIZES | {f"cold{number}": 64 * MIB for number in range(8)}
    store_media(headwater, folder, sizes)
    # One inode for both, so that page cache and disk are the same for both.
    blobs = {size: [] for size in sizes.values()}
    for path in (headwater.storage / "blobs").rglob("*"):
        if path.is_file() and path.stat().st_size in blobs:
            blobs[path.stat().st_size].append(path)
    for name, size in sizes.items():
        head = name.encode().ljust(16)
        for blob in blobs[size]:
            with open(blob, "rb") as file:
                if file.read(16) == head:
                    nginx.publish(f"/f/{name}", blob)
                    break
        else:
            fail(f"no blob holds {name}")
    return sizes


# --- wrk -----------------------------------------------------------------------------------------------------


class Scenario:
    def __init__(self, name, connections, paths, ranges=None, tls=False, closes=False, token=None, answer_bytes=None):
        self.name = name
        self.connections = connections
        self.paths = paths
        #: (object bytes, range bytes): each request asks for a range at a random offset.
        self.ranges = ranges
        self.tls = tls
        #: Each request has a connection of its own.
        self.closes = closes
        #: The bearer token that each request shows.
        self.token = token
        #: Where a round has few answers, of which those under way at its end are a good part: an answer's length, by which the
        #: bytes read are counted instead of the answers.
        self.answer_bytes = answer_bytes

    def script(self):
        """wrk runs this in each of its threads."""
        paths = ", ".join(f'"{path}"' for path in self.paths)
        fields = ", {Connection = 'close'}" if self.closes else ""
        if self.token:
            fields = f", {{Authorization = 'Bearer {self.token}'}}"
        if self.ranges:
            size, length = self.ranges
            return (
                f"local first = {size - length}\n"
                "function init() math.randomseed(os.time() + tonumber(tostring({}):match('0x(%x+)'), 16) % 100000) end\n"
                "function request()\n"
                "  local at = math.random(0, first)\n"
                f'  return wrk.format("GET", "{self.paths[0]}", {{Range = "bytes=" .. at .. "-" .. (at + {length - 1})}})\n'
                "end\n"
            )
        return (
            f"local paths, index, ready = {{{paths}}}, 0, {{}}\n"
            f"function init() for i, path in ipairs(paths) do ready[i] = wrk.format('GET', path{fields}) end end\n"
            "function request() index = index % #ready + 1; return ready[index] end\n"
        )


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def run_wrk(server, scenario, seconds, folder):
    script = folder / "wrk.lua"
    script.write_text(scenario.script())
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(
        ["wrk", "-t2", f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "10s", "--latency",
         "-s", str(script), server.url("/", scenario.tls)],
        capture_output=True, text=True, timeout=seconds + 60,
    )
    cpu = cpu_seconds(server.process.pid) - before
    text = done.stdout
    count = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
    if done.returncode != 0 or not count or int(count.group(1)) == 0:
        fail(f"wrk on {server.name}, {scenario.name}: {text}{done.stderr}")
    requests = int(count.group(1))
    if scenario.answer_bytes:
        number, unit = re.search(r"([\d.]+)([KMGT])B read", text).groups()
        requests = float(number) * 1024 ** ("KMGT".index(unit) + 1) / scenario.answer_bytes
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {
        "rate": requests / (milliseconds(count.group(2) + count.group(3)) / 1000),
        "cpu_us": cpu * 1e6 / requests,
        "p50_ms": milliseconds(re.search(r"^\s+50%\s+(\S+)", text, re.M).group(1)),
        "p99_ms": milliseconds(re.search(r"^\s+99%\s+(\S+)", text, re.M).group(1)),
        "failed": (int(bad.group(1)) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0),
    }


class HTTP2Scenario:
    """Small objects by h2load: as many requests on each connection as it may make, again and again."""

    closes = False

    def __init__(self, name, connections, streams, paths):
        self.name = name
        self.connections = connections
        self.streams = streams
        self.paths = paths


def run_h2load(server, scenario, seconds):
    count = scenario.connections * 1000
    requests, failed, elapsed = 0, 0, 0.0
    before = cpu_seconds(server.process.pid)
    while elapsed < seconds:
        done = subprocess.run(
            ["h2load", "-n", str(count), "-c", str(scenario.connections), "-m", str(scenario.streams),
             *(server.url(path, tls=True) for path in scenario.paths)],
            capture_output=True, text=True, timeout=120,
        )
        found = re.search(r"finished in ([\d.]+)(us|ms|s|m),", done.stdout)
        counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
        if done.returncode != 0 or not found or not counts:
            fail(f"h2load on {server.name}, {scenario.name}: {done.stdout}{done.stderr}")
        elapsed += milliseconds(found.group(1) + found.group(2)) / 1000
        requests += int(counts.group(2))
        failed += int(counts.group(3)) + int(counts.group(4))
    latency = re.search(r"time for request:\s+\S+\s+(\S+)\s+(\S+)", done.stdout)
    return {
        "rate": requests / elapsed,
        "cpu_us": (cpu_seconds(server.process.pid) - before) * 1e6 / requests,
        "p50_ms": milliseconds(latency.group(2)),
        # h2load has no percentiles: its largest.
        "p99_ms": milliseconds(latency.group(1)),
        "failed": failed,
    }


def median(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def compare(scenario, servers, rounds, seconds, folder):
    """Interleaved, so that what else the machine does meets both; who comes first alternates."""
    for path in scenario.paths:
        for other in servers[1:]:
            if servers[0].get(path) != other.get(path):
                fail(f"{path} differs between {servers[0].name} and {other.name}")
    results = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            results[server.name].append(
                run_h2load(server, scenario, seconds) if isinstance(scenario, HTTP2Scenario)
                else run_wrk(server, scenario, seconds, folder))
    return {name: median(rows) for name, rows in results.items()}


# --- What wrk cannot measure ---------------------------------------------------------------------------------


def idle_bytes(server, wanted):
    """Memory for each of many connections that have had one answer and wait for the next request."""
    request = b"GET /f/1k HTTP/1.1\r\nHost: localhost\r\n\r\n"
    held = []
    try:
        for _ in range(200):  # Pools and tables grow to their working size first.
            server.get("/f/1k")
        before = pss_kib(server.process.pid)
        for _ in range(wanted):
            connection = socket.create_connection(("127.0.0.1", server.port), 10)
            connection.settimeout(10)
            connection.sendall(request)
            got = b""
            while len(got) < 1024 or b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1024:
                chunk = connection.recv(65536)
                if not chunk:
                    fail(f"{server.name} closed connection {len(held)} of {wanted}")
                got += chunk
            held.append(connection)
        return (pss_kib(server.process.pid) - before) * 1024 / wanted
    finally:
        for connection in held:
            connection.close()


def cbc_us():
    """Processor time for a MB of AES-128 in CBC, which no segment under AES-128 can be cheaper than on this machine."""
    done = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", "16384", "-evp", "aes-128-cbc"], capture_output=True, text=True)
    found = re.search(r"^\+F:.*:([0-9.]+)$", done.stdout, re.MULTILINE)
    if not found:
        fail(f"openssl speed: {done.stderr}")
    return 1e12 / float(found.group(1))


def first_segment_ms(headwater, rounds):
    """From the request to the last byte of a segment in the middle of a two-hour film: the first request
    after a start of the server, and the second."""
    subprocess.run([str(ROOT / "scripts/make-fixtures.sh"), "long"], check=True, stdout=subprocess.DEVNULL)
    film = ROOT / "Tests/Fixtures/media/long-2h.mp4"
    headwater.command("import", "--site", "bench", "--id", "long", str(film))
    video, _ = segments(headwater, "long")
    path = video[len(video) // 2]
    times = ([], [])
    for _ in range(rounds):
        headwater.stop()
        headwater.start()
        for column in times:
            start = time.perf_counter()
            headwater.get(path)
            column.append((time.perf_counter() - start) * 1000)
    return [statistics.median(column) for column in times]


def read_cold(port, storage_path, path, total):
    """One client that reads a file again and again, which it drops from the page cache each time."""
    with open(storage_path, "rb") as file:
        while True:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                while chunk := connection.recv(262144):
                    with total.get_lock():
                        total.value += len(chunk)


def beside_cold_readers(server, nginx, seconds, folder):
    """Hot 64 KiB ranges while eight clients read files from the disk."""
    scenario = Scenario("hot", 16, ["/f/64m"], ranges=(64 * MIB, 65536))
    total = Value("Q", 0)
    readers = [
        Process(
            target=read_cold, daemon=True,
            args=(server.port, nginx.root / f"f/cold{number}", f"/f/cold{number}", total),
        )
        for number in range(8)
    ]
    for reader in readers:
        reader.start()
    try:
        result = run_wrk(server, scenario, seconds, folder)
        result["cold_mib_s"] = total.value / MIB / seconds
        return result
    finally:
        for reader in readers:
            reader.kill()
            reader.join()


def index_lookup(headwater):
    """Lookups in an index of a million blobs, where this build can measure them; else `None`."""
    done = subprocess.run([headwater.binary, "bench-index"], capture_output=True, text=True, timeout=300)
    return done.stdout.strip() if done.returncode == 0 else None


# --- Report --------------------------------------------------------------------------------------------------


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if theirs else "-"


def table(header, rows):
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]

    def line(row):
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def processor():
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else platform.machine()


def write_document(text, path=ROOT / "docs/PERFORMANCE.md", markers=MARKERS):
    """Puts the text between the markers of a document."""
    old = path.read_text() if path.exists() else "# Performance\n\n" + "\n".join(markers) + "\n"
    before, _, rest = old.partition(markers[0])
    _, found, after = rest.partition(markers[1])
    if not found:
        fail(f"{path} has no {markers[0]} … {markers[1]}")
    path.write_text(f"{before}{markers[0]}\n{text}\n{markers[1]}{after}")
    print(f"wrote {path.relative_to(ROOT)}")


def over_limits(measured):
    """The rows whose CPU ratio exceeds what is stored in Tests/Bench/limits.json."""
    stored = json.loads((ROOT / "Tests/Bench/limits.json").read_text())["cpu_ratio"]
    return [
        f"{name}: CPU ratio {measured[name]:.2f}, limit {limit}"
        for name, limit in stored.items()
        if name in measured and measured[name] > limit
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--binary", default=ROOT / ".build/release/headwater")
    options = parser.parse_args()
    rounds, seconds = (2, 1) if options.quick else (5, 4)
    rounds, seconds = options.rounds or rounds, options.seconds or seconds

    nginx_program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    for name, found in {"wrk": shutil.which("wrk"), "h2load": shutil.which("h2load"), "nginx": nginx_program, "ffmpeg": shutil.which("ffmpeg")}.items():
        if not found:
            fail(f"{name} is missing: scripts/install-deps.sh bench")
    if not os.access(options.binary, os.X_OK):
        fail(f"no program at {options.binary}: make build")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))

    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    make_certificate(folder)
    redis_program = shutil.which("redis-server")
    if options.redis and not redis_program:
        fail("redis-server is missing: scripts/install-deps.sh test")
    redis = Redis(redis_program, folder / "redis") if options.redis else None
    headwater = Headwater(
        options.binary, folder, f'[plugins.redis]\nurl = "redis://127.0.0.1:{redis.port}/0"\n' if redis else "")
    nginx = Nginx(nginx_program, folder / "nginx", folder / "root", tcp_nopush=True)
    tuned = Nginx(nginx_program, folder / "tuned", folder / "root", tcp_nopush=False)
    servers = [headwater, nginx, tuned]
    started_besides = [redis] if redis else []
    try:
        started = time.monotonic()
        sizes = publish(headwater, nginx, folder)
        headwater.start()
        video, audio = segments(headwater, "film")
        playlist, transport = transport_segments(headwater, "film")
        for path in video + audio + transport + [playlist]:
            nginx.publish(path, headwater.get(path))
        nginx.start()
        tuned.start()

        scenarios = [
            Scenario("1k object, 64 connections", 64, ["/f/1k"]),
            Scenario("1k object, 2000 connections", 2000, ["/f/1k"]),
            Scenario("64k range at random, 64 connections", 64, ["/f/64m"], ranges=(sizes["64m"], 65536)),
            Scenario("1m object, 64 connections", 64, ["/f/1m"]),
            Scenario("1m object, 2000 connections", 2000, ["/f/1m"]),
            Scenario("100m download, 8 connections", 8, ["/f/100m"], answer_bytes=sizes["100m"]),
            Scenario("HLS video segments made on request, 64 connections", 64, video),
            Scenario("HLS audio segments made on request, 64 connections", 64, audio),
            Scenario("HLS transport streams made on request, 64 connections", 64, transport),
            Scenario("HLS playlist, 64 connections", 64, [playlist]),
            Scenario("TLS: 1k object, 64 connections", 64, ["/f/1k"], tls=True),
            Scenario("TLS: 1m object, 64 connections", 64, ["/f/1m"], tls=True),
            Scenario("TLS: 1k object, a handshake for each request", 16, ["/f/1k"], tls=True, closes=True),
            HTTP2Scenario("HTTP/2 over TLS: 1k object, 16 connections of 16 streams", 16, 16, ["/f/1k"]),
        ]
        rows, measured, failures = [], {}, []
        for scenario in scenarios:
            if options.only not in scenario.name:
                continue
            print(f"bench: {scenario.name}", file=sys.stderr)
            found = compare(scenario, servers, rounds, seconds, folder)
            ours, theirs = found[headwater.name], found[nginx.name]
            measured[scenario.name] = ours["cpu_us"] / theirs["cpu_us"] if theirs["cpu_us"] else 0
            failures += [f"{scenario.name}: {name}: {row['failed']:.0f} failed" for name, row in found.items() if row["failed"]]
            rows.append([
                scenario.name, f"{ours['rate']:,.0f}", f"{theirs['rate']:,.0f}", ratio(ours["rate"], theirs["rate"]),
                f"{ours['cpu_us']:,.1f}", f"{theirs['cpu_us']:,.1f}", ratio(ours["cpu_us"], theirs["cpu_us"]),
                f"{ours['p99_ms']:.2f}", f"{theirs['p99_ms']:.2f}",
                ratio(ours["rate"], found[tuned.name]["rate"]), ratio(ours["cpu_us"], found[tuned.name]["cpu_us"]),
            ])
        report = table(
            ["scenario", "req/s", "nginx", "ratio", "CPU µs/req", "nginx", "ratio", "p99 ms", "nginx",
             "req/s, tuned", "CPU, tuned"], rows)

        extra = []
        if options.only in "API":
            paths = ["/api/v1/videos/film"] + (["/api/v1/videos/film/metadata"] if redis else [])
            for path in paths:
                print(f"bench: API, {path}", file=sys.stderr)
                scenario = Scenario("API", 16, [path], token=headwater.token)
                row = median([run_wrk(headwater, scenario, seconds, folder) for _ in range(rounds)])
                if row["failed"]:
                    failures.append(f"API: {path}: {row['failed']:.0f} failed")
                extra.append([
                    f"`GET {path}`, 16 connections",
                    f"{row['rate']:,.0f}/s, {row['cpu_us']:.1f} µs, p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms", "-"])
        if options.only in "idle":
            print("bench: idle connections", file=sys.stderr)
            idle = min(4000 if options.quick else 10000, files - 1000)
            # Started anew, so that no memory freed by the rows above stands in for new memory.
            for server in (headwater, nginx):
                server.stop()
                server.start()
            ours, theirs = (idle_bytes(server, idle) for server in (headwater, nginx))
            extra.append([f"memory of an idle connection, {idle:,} open", f"{ours:,.0f} B", f"{theirs:,.0f} B"])
        if options.only in "cold":
            print("bench: hot beside cold", file=sys.stderr)
            os.sync()
            cold = [
                beside_cold_readers(server, nginx, max(seconds, 2) * 2, folder) for server in (headwater, nginx)
            ]
            for name, key, unit in [
                ("hot 64k ranges beside 8 cold readers, rate", "rate", "/s"), ("the same, p50", "p50_ms", " ms"),
                ("the same, p99", "p99_ms", " ms"), ("the same, what the cold readers get", "cold_mib_s", " MiB/s"),
            ]:
                extra.append([name, *(f"{each[key]:,.2f}{unit}" for each in cold)])
        if options.only in "restart":
            print("bench: first segment after a start", file=sys.stderr)
            first, second = first_segment_ms(headwater, 2 if options.quick else 5)
            extra.append(["first segment of a 2 h film after a start", f"{first:.2f} ms", "-"])
            extra.append(["the same segment again", f"{second:.2f} ms", "-"])
        if options.only in "packaging":
            extra.append(["AES-128-CBC of OpenSSL alone, for a MB", f"{cbc_us():.2f} µs", "-"])
            subprocess.run(
                [str(ROOT / "scripts/make-fixtures.sh"), "long"], check=True, stdout=subprocess.DEVNULL)
            for name, film in [("30 s of 720p", ROOT / ".run/bench-film.mp4"),
                               ("2 h film", ROOT / "Tests/Fixtures/media/long-2h.mp4")]:
                done = subprocess.run([headwater.binary, "bench-packaging", str(film)], capture_output=True, text=True)
                if done.returncode != 0:
                    fail(f"bench-packaging {film}: {done.stderr}")
                for line in done.stdout.splitlines():
                    what, value = line.split("\t")
                    extra.append([f"{name}: {what}", value, "-"])
        if options.only in "index":
            lookups = index_lookup(headwater)
            if lookups:
                extra.append(["lookup among a million blobs", lookups, "-"])
            else:
                print("bench: note: no bench-index in this build, row left out", file=sys.stderr)
        if extra:
            report += "\n\n" + table(["", "Headwater", "nginx"], extra)

        commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        report = (
            f"{datetime.date.today()}, commit {commit.stdout.strip()}, Headwater {headwater.version()} beside {nginx.version()}; "
            f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}; median of {rounds} rounds of {seconds} s."
            f" Ratios are ours to nginx: more is better for req/s, less for CPU.\n\n{report}"
        )
        print(report)
        print(f"bench: {time.monotonic() - started:.0f} s", file=sys.stderr)
        if options.write:
            write_document(report)
        if not options.quick:  # Short rounds say too little to fail on.
            failures += over_limits(measured)
        if failures:
            fail("\n" + "\n".join(failures))
    finally:
        for server in servers + started_besides:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
