#!/usr/bin/env python3
"""Makes the fixtures that no encoder writes, from those that make-fixtures.sh has made before.

usage: make-odd-fixtures.py FOLDER SCRATCH
"""

import os
import struct
import sys

folder, scratch = sys.argv[1], sys.argv[2]


def publish(name, content):
    target = os.path.join(folder, name)
    if os.path.exists(target):
        return
    data = content()
    with open(os.path.join(scratch, name), "wb") as file:
        file.write(data)
    os.rename(os.path.join(scratch, name), target)
    print("made", target)


def source(name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def boxes(data):
    """(type, payload) of each box in `data`, in order."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError(f"box {kind!r} at {at} has size {size}")
        yield kind, data[at + 8 : at + size]
        at += size


def box(kind, payload):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


def with_co64(payload, kind):
    """The box again, every stco turned into co64 (offsets unchanged: the index lies behind the samples)."""
    if kind == b"stco":
        count = struct.unpack_from(">I", payload, 4)[0]
        offsets = struct.unpack_from(f">{count}I", payload, 8)
        return box(b"co64", payload[:8] + struct.pack(f">{count}Q", *offsets))
    if kind in CONTAINERS:
        return box(kind, b"".join(with_co64(inner, name) for name, inner in boxes(payload)))
    return box(kind, payload)


def co64():
    out = b"".join(with_co64(payload, kind) for kind, payload in boxes(source("h264-aac-moov-end.mp4")))
    if b"co64" not in out:
        raise ValueError("no stco found to turn into co64")
    return out


def truncated_samples():
    """Index in front and whole, samples cut off in the middle."""
    data = source("h264-aac-faststart.mp4")
    return data[: len(data) // 2]


def garbage():
    """64 KiB of a fixed pseudo-random sequence behind an `ftyp`, so that only a look inside tells."""
    state, out = 0x9E3779B97F4A7C15, bytearray(box(b"ftyp", b"isom\0\0\2\0isomiso2"))
    while len(out) < 65536:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += struct.pack(">I", state >> 32)
    return bytes(out)


publish("h264-aac-co64.mp4", co64)
publish("truncated-index.mp4", lambda: source("h264-aac-moov-end.mp4")[:-500])
publish("truncated-samples.mp4", truncated_samples)
publish("garbage.mp4", garbage)
publish("empty.mp4", lambda: b"")
publish("playlist-in-disguise.mp4", lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")
publish("notes.txt", lambda: b"Plain text, for static files.\n" * 64)
