#!/usr/bin/env python3
"""Makes files that are small and ask for much: of memory, of time, or of both.

usage: make-media-bombs.py FOLDER FILM.mp4 FILM.mkv

Each is about one thing that containers, pictures or codecs let a file announce without having it. FILM.mp4 has H.264 in a
progressive file, FILM.mkv the same in Matroska: what is announced is built around a few real samples, so that readers that
look whether there is anything do not stop too early.
"""

import os
import struct
import subprocess
import sys
import zlib

folder, film, matroska = sys.argv[1], sys.argv[2], sys.argv[3]
HUGE = 0xFFFFFFFF


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(name, *parts):
    with open(os.path.join(folder, name), "wb") as file:
        for part in parts:
            file.write(part)
    print(name)


# --- MP4 -----------------------------------------------------------------------------------------------------


def box(kind, *parts):
    payload = b"".join(parts)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def full(kind, version, *parts):
    return box(kind, struct.pack(">I", version << 24), *parts)


def find(data, *path):
    """The payload of the first box on a path."""
    for kind in path:
        at = 0
        while at + 8 <= len(data):
            size, found = struct.unpack_from(">I4s", data, at)
            if found == kind:
                data = data[at + 8 : at + size]
                break
            at += max(8, size)
        else:
            raise SystemExit(f"{film} has no {kind!r}")
    return data


MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
FTYP = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1mp41")
TABLES = find(read(film), b"moov", b"trak", b"mdia", b"minf", b"stbl")
# The first sample, which is a key frame, and what configures its decoder.
SAMPLE = find(read(film), b"mdat")[: struct.unpack_from(">I", find(TABLES, b"stsz"), 12)[0]]
AVCC = box(b"avcC", find(find(find(TABLES, b"stsd")[8:], b"avc1")[78:], b"avcC"))


def entry(width=320, height=180, configuration=AVCC):
    return box(b"avc1", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">2H", width, height),
               struct.pack(">3IH", 0x480000, 0x480000, 0, 1), bytes(32), struct.pack(">Hh", 24, -1), configuration)


def track(number=1, *, width=320, height=180, stts=((1, 512),), stsz=None, stsc=((1, 1, 1),), stco=(len(FTYP) + 8,), edits=b"",
          duration=512, extra=b"", configuration=AVCC):
    stsz = stsz or struct.pack(">3I", 0, 1, len(SAMPLE))
    tables = box(
        b"stbl", full(b"stsd", 0, struct.pack(">I", 1), entry(width, height, configuration)),
        full(b"stts", 0, struct.pack(">I", len(stts)), *(struct.pack(">2I", *each) for each in stts)),
        full(b"stsc", 0, struct.pack(">I", len(stsc)), *(struct.pack(">3I", *each) for each in stsc)),
        full(b"stsz", 0, stsz) if stsz[:4] != b"raw:" else stsz[4:],
        full(b"stco", 0, struct.pack(">I", len(stco)), *(struct.pack(">I", each) for each in stco)), extra)
    media = box(
        b"mdia", full(b"mdhd", 1, struct.pack(">QQIQ", 0, 0, 12800, duration), struct.pack(">2H", 0x55C4, 0)),
        full(b"hdlr", 0, bytes(4), b"vide", bytes(13)),
        box(b"minf", full(b"vmhd", 0, bytes(8)),
            box(b"dinf", full(b"dref", 0, struct.pack(">I", 1), full(b"url ", 0, b""))), tables))
    head = full(b"tkhd", 0, struct.pack(">5I", 0, 0, number, 0, min(duration, HUGE)), bytes(16), MATRIX,
                struct.pack(">2I", (width & 0xFFFF) << 16, (height & 0xFFFF) << 16))
    return box(b"trak", head, edits, media)


def movie(*tracks, duration=512, extra=b""):
    head = full(b"mvhd", 1, struct.pack(">QQIQ", 0, 0, 12800, duration), struct.pack(">IH", 0x10000, 0x100), bytes(10),
                MATRIX, bytes(24), struct.pack(">I", HUGE))
    return [FTYP, box(b"mdat", SAMPLE), box(b"moov", head, *tracks, extra)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side):
    """A black square; its pixels are packed a thousand times smaller than they are."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", data) + chunk(b"IEND", b""))


COVER = png(16000)

write("sample-entry-65535.mp4", *movie(track(width=65535, height=65535)))
write("samples-10-million.mp4", *movie(track(stts=((10_000_000, 512),), stsz=struct.pack(">3I", 0, 1, 10_000_000),
                                             stsc=((1, 10_000_000, 1),), duration=10_000_000 * 512)))
write("samples-4-billion-of-nothing.mp4", *movie(track(stts=((HUGE, 1),), stsz=struct.pack(">3I", 0, 0, HUGE),
                                                       stsc=((1, HUGE, 1),), duration=HUGE)))
write("times-that-never-end.mp4", *movie(track(stts=((HUGE, HUGE),) * 1000, stsz=struct.pack(">3I", 0, 1, 100_000_000),
                                               stsc=((1, HUGE, 1),))))
write("box-of-4-gigabytes.mp4", FTYP, struct.pack(">I4s", HUGE, b"moov"), find(read(film), b"moov"))
write("box-of-8-exabytes.mp4", FTYP, struct.pack(">I4sQ", 1, b"moov", 1 << 63), find(read(film), b"moov"))
nested = b""
for _ in range(10_000):
    nested = struct.pack(">I4s", 8 + len(nested), b"moov") + nested
write("nested-10000.mp4", FTYP, nested)
write("duration-without-end.mp4", *movie(track(duration=(1 << 64) - 1), duration=(1 << 64) - 1))
write("days-of-one-picture.mp4", *movie(track(stts=((1, HUGE),), duration=HUGE * 100), duration=HUGE * 100))
edits = [struct.pack(">Qq2H", 512, 0, 1, 0)] * 500_000
write("edits-in-circles.mp4", *movie(track(
    edits=box(b"edts", full(b"elst", 1, struct.pack(">I", len(edits)), *edits)))))
write("tracks-5000.mp4", *movie(*(track(number + 1) for number in range(5000))))
write("cover-16000.mp4", *movie(track(), extra=box(b"udta", full(
    b"meta", 0, full(b"hdlr", 0, bytes(4), b"mdirappl", bytes(9)),
    box(b"ilst", box(b"covr", box(b"data", struct.pack(">2I", 14, 0), COVER)))))))
fragment = box(b"moof", full(b"mfhd", 0, struct.pack(">I", 1)), box(
    b"traf", box(b"tfhd", struct.pack(">2I", 0x20000, 1)), box(b"trun", struct.pack(">2I", 0, HUGE))))
write("fragments-that-say-much.mp4", *movie(
    track(stts=(), stsz=struct.pack(">3I", 0, 0, 0), stsc=(), stco=()),
    extra=box(b"mvex", full(b"trex", 0, struct.pack(">5I", 1, 1, 512, 0, 0)))), fragment * 100_000)

# A picture of 81 megapixels, and one that is a strip.
for name, size in [("picture-9000.mp4", "9000x9000"), ("strip-16000.mp4", "16000x64")]:
    path = os.path.join(folder, name)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", f"color=gray:size={size}:rate=25:duration=0.08",
         "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1", path], check=True)
    print(name)

# --- Matroska ------------------------------------------------------------------------------------------------

EBML = bytes.fromhex("1A45DFA3") + b"\x8F" + bytes.fromhex("4282886D6174726F736B61") + bytes.fromhex("42878104")
SEGMENT = bytes.fromhex("1853806701FFFFFFFFFFFFFF")
write("void-without-end.mkv", EBML, SEGMENT, b"\xEC\x80" * 8_000_000)
write("tags-nested-10000.mkv", EBML, SEGMENT, bytes.fromhex("1254C36701FFFFFFFFFFFFFF"),
      bytes.fromhex("67C801FFFFFFFFFFFFFF") * 10_000)
whole = read(matroska)
for name, key, value in [("pixels-4-billion.mkv", bytes.fromhex("B082"), b"\xB0\x82\xFF\xFF"),
                         ("duration-of-ages.mkv", bytes.fromhex("448988"), b"\x44\x89\x88" + struct.pack(">d", 1e300))]:
    at = whole.find(key)
    write(name, whole[:at], value, whole[at + len(value) :]) if at >= 0 else write(name, whole)

# --- Others --------------------------------------------------------------------------------------------------

write("square-16000.png", COVER)
write("side-65535.jpg", b"\xFF\xD8", struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, 65535, 65535, 3),
      bytes.fromhex("011100021100031100"), b"\xFF\xDA\x00\x0C\x03\x01\x00\x02\x00\x03\x00\x00\x3F\x00", bytes(4096), b"\xFF\xD9")
frame = b"\x21\xF9\x04\x00\x01\x00\x00\x00" + b"\x2C" + struct.pack("<4H", 0, 0, 65535, 65535) + b"\x00\x02\x02\x4C\x01\x00"
write("frames-65535.gif", b"GIF89a", struct.pack("<2H", 65535, 65535), b"\x80\x00\x00", bytes(6), frame * 65535, b"\x3B")


def section(table, payload):
    body = struct.pack(">BH", table, 0xB000 | len(payload) + 4) + payload
    checksum = HUGE
    for byte in body:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7 if checksum & 0x80000000 else checksum << 1) & HUGE
    return body + struct.pack(">I", checksum)


def packets(pid, data):
    data, first = b"\x00" + data, True
    while data:
        part, data = data[:184], data[184:]
        yield struct.pack(">BHB", 0x47, pid | (0x4000 if first else 0), 0x10) + part.ljust(184, b"\xFF")
        first = False


programs = b"".join(struct.pack(">2H", number, 0xE000 | 0x100 + number) for number in range(1, 240))
streams = b"".join(struct.pack(">BHH", 0x1B, 0xE000 | 0x400 + number, 0xF000) for number in range(190))
write("programs-and-streams.ts", *packets(0, section(0, b"\x00\x01\xC1\x00\x00" + programs)), *(
    packet for number in range(1, 240)
    for packet in packets(0x100 + number, section(2, struct.pack(">H", number) + b"\xC1\x00\x00\xFF\xFF\xF0\x00" + streams))),
    *(packet for _ in range(20_000) for packet in packets(0x1FFF, bytes(183))))
flac = struct.pack(">2H", 4096, 4096) + bytes(6) + bytes.fromhex("0AC442FFFFFFFFFF")[:8] + bytes(16)
picture = struct.pack(">2I", 3, 9) + b"image/png" + struct.pack(">I4II", 0, 16000, 16000, 24, 0, len(COVER)) + COVER
write("cover-16000.flac", b"fLaC", b"\x00\x00\x00\x22", flac, b"\x86", struct.pack(">I", len(picture))[1:], picture)
write("cues-without-end.vtt", b"WEBVTT\n\n", b"00:00.000 --> 99999:59:59.999\n<b><i><u>" + b"<b>" * 100 + b"x\n\n",
      b"00:00:00.000 --> 99:59:59.999\nx\n\n" * 500_000)
