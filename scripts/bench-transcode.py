#!/usr/bin/env python3
"""Measures the transcode plugin beside the ffmpeg command line: one source, the same five rungs, the same presets.

    scripts/bench-transcode.py                 10 minutes of 1080p
    scripts/bench-transcode.py --seconds 60    a shorter source
    scripts/bench-transcode.py --film FILE     a film of yours, brought to 1080p and repeated, in place of patterns with grain
    scripts/bench-transcode.py --write         also writes the tables into docs/TRANSCODING.md, between its markers

The source is made once by ffmpeg and kept in .run/: moving patterns under grain, which give encoders the most to do.
ffmpeg decodes it once and makes all rungs in one process, with the encoder's options, rates and key frames of etc/ladders/default.toml;
`headwater worker` makes them from its queue, a process for each chunk. Processor time is user and system time of all processes; sound is copied by both. Similarity is that of libavfilter's
ssim, over all pictures, to the source brought to the rung's size, with exact rounding: what is compared with must be better than
what is compared.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench

ROOT = bench.ROOT
MARKERS = ("<!-- bench-transcode:begin -->", "<!-- bench-transcode:end -->")
RUNGS = [("240p", 426, 240, 400), ("360p", 640, 360, 800), ("480p", 854, 480, 1500), ("720p", 1280, 720, 3000),
         ("1080p", 1920, 1080, 6000)]
FRAMES_PER_SECOND = 30
GROUP_SECONDS = 2
# What is held: the ratios of wall clock and processor time, both at most; similarity and size beside ffmpeg's.
LIMITS = {"wall": 0.9, "cpu": 0.9, "ssim": -0.001, "size": 1.02, "busy": 0.95, "p99": 2.0}


def fail(message):
    sys.exit(f"bench-transcode: {message}")


def make_source(seconds, film):
    """1080p with a key frame every two seconds, 8 Mbit/s at most: patterns with motion and grain, or a film again and again."""
    target = ROOT / f".run/bench-transcode-{film.stem + '-' if film else ''}{seconds}.mp4"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    print(f"bench-transcode: making {seconds} s of 1080p", file=sys.stderr)
    if film:
        pictures = ["-stream_loop", "-1", "-i", str(film)]
        filters = ["-vf", "scale=1920:1080:flags=lanczos,setsar=1"]
    else:
        pictures = ["-f", "lavfi", "-i",
                    f"testsrc2=size=1920x1080:rate={FRAMES_PER_SECOND}:duration={seconds},noise=alls=6:allf=t"]
        filters = []
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *pictures,
         "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}", "-map", "0:v:0", "-map", "1:a",
         *filters, "-t", str(seconds),
         "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-maxrate", "8M", "-bufsize", "16M",
         "-pix_fmt", "yuv420p", "-force_key_frames", f"expr:gte(t,n_forced*{GROUP_SECONDS})", "-g", "1000000", "-sc_threshold", "0",
         "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4", str(part)],
        check=True,
    )
    part.rename(target)
    return target


class Spent:
    """Wall clock and processor time of commands that have ended."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def run(self, command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.wall += time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode != 0:
            fail(f"{' '.join(map(str, command[:2]))}: {done.stderr.decode()[-2000:]}")


def by_ffmpeg(source, folder):
    """All rungs by one process. Gives what it took, and the files by rung."""
    count = len(RUNGS)
    graph = f"[0:v]split={count}" + "".join(f"[s{number}]" for number in range(count))
    for number, (_, width, height, _) in enumerate(RUNGS):
        graph += f";[s{number}]scale={width}:{height}:flags=bicubic,setsar=1,format=yuv420p[v{number}]"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", source, "-filter_complex", graph]
    files = {}
    for number, (name, _, _, kilobits) in enumerate(RUNGS):
        files[name] = folder / f"ffmpeg-{name}.mp4"
        command += [
            "-map", f"[v{number}]", "-map", "0:a", "-c:a", "copy", "-c:v", "libx264", "-preset", "medium",
            "-profile:v", "high", "-crf", "23", "-maxrate", f"{kilobits}k", "-bufsize", f"{2 * kilobits}k",
            "-sc_threshold", "0", "-force_key_frames", f"expr:gte(t,n_forced*{GROUP_SECONDS})", "-g", "1000000",
            "-movflags", "+faststart", files[name],
        ]
    spent = Spent()
    spent.run(command)
    return spent, files


class Transcoding(bench.Headwater):
    """A server with the plugin and no workers of its own."""

    def __init__(self, binary, folder, lowest_first):
        super().__init__(binary, folder)
        with open(self.config, "a") as config:
            config.write('[jobs]\nworkers = "off"\n')
        (folder / "etc/ladders").mkdir()
        shutil.copy(ROOT / "etc/ladders/default.toml", folder / "etc/ladders/default.toml")
        (folder / "etc/sites/bench.toml").write_text(
            'hosts = ["*"]\n[plugins.transcode]\nladder = "default"\n'
            f"lowest_first = {'true' if lowest_first else 'false'}\n"
        )

    def asset(self, name):
        return json.loads(self.command("assets", "show", "--site", "bench", name, "--json"))

    def jobs(self, *words):
        return self.command("jobs", "list", "--site", "bench", "--json", *words)

    def import_film(self, name, source):
        """Imports, and waits until the plugin has heard of it."""
        self.command("import", "--site", "bench", "--id", name, str(source))
        deadline = time.monotonic() + 30
        while not self.jobs("--asset", name):
            if time.monotonic() > deadline:
                fail(f"no job for {name}")
            time.sleep(0.1)

    def worker(self):
        return [self.binary, "worker", "--workers", str(os.cpu_count()), "--drain", "--config", self.config]


def by_headwater(server, source, folder):
    """The same by the worker, and the files as they are downloaded."""
    server.import_film("film", source)
    spent = Spent()
    # Until its jobs begin the asset is ready with its source alone.
    while RUNGS[-1][0] not in [each["name"] for each in server.asset("film")["renditions"]]:
        if '"failed"' in server.jobs():
            fail("a job has failed:\n" + server.command("jobs", "list", "--site", "bench"))
        spent.run(server.worker())
    files = {}
    for name, *_ in RUNGS:
        files[name] = folder / f"headwater-{name}.mp4"
        files[name].write_bytes(server.get(f"/v/film/{name}.mp4"))
    return spent, files


def similarity(file, source, width, height):
    """SSIM of luma and chroma together, over all pictures."""
    done = subprocess.run(
        ["ffmpeg", "-v", "info", "-nostdin", "-i", str(file), "-i", str(source), "-lavfi",
         f"[1:v]scale={width}:{height}:flags=bicubic+accurate_rnd,format=yuv420p[r];[0:v][r]ssim=shortest=0", "-f", "null", "-"],
        capture_output=True, text=True)
    found = re.search(r"SSIM .*All:([0-9.]+)", done.stderr)
    if not found:
        fail(f"no similarity of {file}: {done.stderr[-1000:]}")
    return float(found.group(1))


# --- Serving beside it ---------------------------------------------------------------------------------------


def range_latencies(server, seconds, rate=100, connections=4):
    """Milliseconds of requests for 64 KiB at a steady rate, on connections that are kept."""
    size = 65536
    until = time.monotonic() + seconds
    taken = []

    def viewer(number):
        generator = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        due = time.monotonic() + number / rate
        while due < until:
            time.sleep(max(0, due - time.monotonic()))
            first = generator.randrange(0, (64 << 20) - size)
            started = time.perf_counter()
            connection.request("GET", "/f/64m", headers={"Range": f"bytes={first}-{first + size - 1}"})
            answer = connection.getresponse()
            body = answer.read()
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status != 206 or len(body) != size:
                fail(f"a range was answered {answer.status}, {len(body)} bytes")
            due += connections / rate
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        list(pool.map(viewer, range(connections)))
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def beside_a_transcode(server, source, folder, seconds):
    """p50 and p99 alone, and while both cores encode."""
    made = folder / "64m"
    made.write_bytes(os.urandom(1 << 20) * 64)
    server.command("put", "--site", "bench", "64m", str(made))
    range_latencies(server, 2)
    alone = range_latencies(server, seconds)
    server.import_film("other", source)
    worker = subprocess.Popen(server.worker(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while "transcode.chunk" not in server.jobs("--state", "processing"):
            if time.monotonic() > deadline or worker.poll() is not None:
                fail("no chunk is under way")
            time.sleep(0.1)
        beside = range_latencies(server, seconds)
        if worker.poll() is not None:
            fail("the transcode was over before the measurement: take a longer source")
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    return alone, beside


# --- The whole -----------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="length of the source")
    parser.add_argument("--film", type=Path, help="what the source is made of")
    parser.add_argument("--lowest-first", action="store_true", help="as sites have it: one decoding more")
    parser.add_argument("--only", choices=["ladder", "serving"], default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--binary", default=ROOT / ".build/release/headwater")
    options = parser.parse_args()
    for name in ["ffmpeg", "openssl"]:
        if not shutil.which(name):
            fail(f"{name} is missing: scripts/install-deps.sh bench")
    if not os.access(options.binary, os.X_OK):
        fail(f"no program at {options.binary}: make build")
    source = make_source(options.seconds, options.film)
    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    bench.make_certificate(folder)
    server = Transcoding(options.binary, folder, options.lowest_first)
    missed, report = [], []

    def hold(name, value, limit, isMost=True):
        if value > limit if isMost else value < limit:
            missed.append(f"{name} {value:.4g}, held to {'at most' if isMost else 'at least'} {limit}")

    try:
        server.start()
        if options.only in ("", "ladder"):
            print("bench-transcode: ffmpeg", file=sys.stderr)
            theirs, their_files = by_ffmpeg(source, folder)
            print("bench-transcode: headwater", file=sys.stderr)
            ours, our_files = by_headwater(server, source, folder)
            busy = [each.cpu / each.wall / os.cpu_count() for each in (ours, theirs)]
            report.append(bench.table(["", "Headwater", "ffmpeg", "ratio"], [
                ["wall clock, s", f"{ours.wall:,.1f}", f"{theirs.wall:,.1f}", f"{ours.wall / theirs.wall:.3f}"],
                ["processor time, s", f"{ours.cpu:,.1f}", f"{theirs.cpu:,.1f}", f"{ours.cpu / theirs.cpu:.3f}"],
                ["both cores busy", f"{busy[0]:.1%}", f"{busy[1]:.1%}", "-"],
                ["media seconds for each of wall clock", f"{options.seconds / ours.wall:.2f}",
                 f"{options.seconds / theirs.wall:.2f}", "-"],
            ]))
            hold("wall clock, ratio", ours.wall / theirs.wall, LIMITS["wall"])
            hold("processor time, ratio", ours.cpu / theirs.cpu, LIMITS["cpu"])
            hold("cores busy", busy[0], LIMITS["busy"], False)
            rows = []
            for name, width, height, _ in RUNGS:
                print(f"bench-transcode: similarity of {name}", file=sys.stderr)
                values = [similarity(files[name], source, width, height) for files in (our_files, their_files)]
                sizes = [files[name].stat().st_size for files in (our_files, their_files)]
                rows.append([
                    name, *(f"{each:.5f}" for each in values), f"{values[0] - values[1]:+.5f}",
                    *(f"{each * 8 / options.seconds / 1000:,.0f}" for each in sizes), f"{sizes[0] / sizes[1]:.3f}"])
                hold(f"{name}: similarity", values[0] - values[1], LIMITS["ssim"], False)
                hold(f"{name}: size, ratio", sizes[0] / sizes[1], LIMITS["size"])
            report.append(bench.table(
                ["rung", "SSIM", "ffmpeg", "difference", "kbit/s", "ffmpeg", "ratio"], rows))
        if options.only in ("", "serving"):
            print("bench-transcode: serving beside it", file=sys.stderr)
            alone, beside = beside_a_transcode(server, source, folder, 20)
            report.append(bench.table(["64 KiB ranges, 100 a second", "alone", "beside a transcode", "ratio"], [
                [name, f"{one:.2f} ms", f"{two:.2f} ms", f"{two / one:.2f}"]
                for name, one, two in zip(["p50", "p99"], alone, beside)]))
            hold("p99 beside a transcode, ratio", beside[1] / alone[1], LIMITS["p99"])
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split(" Copyright")[0]
        text = (
            f"{datetime.date.today()}, commit {commit.stdout.strip()}, {server.version()} beside {ffmpeg}; "
            f"{bench.processor()}, {os.cpu_count()} cores, Linux {platform.release()}; {options.seconds} s of 1080p"
            f"{' of ' + options.film.name if options.film else ''}, "
            f"`lowest_first = {'true' if options.lowest_first else 'false'}`.\n\n" + "\n\n".join(report))
        print(text)
        if options.write:
            bench.write_document(text, ROOT / "docs/TRANSCODING.md", MARKERS)
        if missed:
            fail("\n" + "\n".join(missed))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
