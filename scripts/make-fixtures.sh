#!/usr/bin/env bash
# Makes the project's own test media in Tests/Fixtures/media (git-ignored), by ffmpeg from its test sources.
#   scripts/make-fixtures.sh          the small ones, about 5 s; files that are there are kept
#   scripts/make-fixtures.sh long     also long-2h.mp4: two hours of picture and sound in a small file
# Each file is written under another name and renamed, so a file that is there is whole.
set -euo pipefail

cd "$(dirname "$0")/.."
readonly folder="Tests/Fixtures/media"
mkdir -p "$folder"

command -v ffmpeg >/dev/null || { echo "make-fixtures: ffmpeg is missing: scripts/install-deps.sh test" >&2; exit 1; }

scratch=$(mktemp -d "$folder/.making-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

exact=(-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1)
encode() { ffmpeg -v error -nostdin -y "$@"; }
# make NAME ARGUMENTS…: one ffmpeg run whose output appears under NAME when it is complete.
make_media() {
  local name=$1
  shift
  [ -e "$folder/$name" ] && return
  encode "$@" "${exact[@]}" "$scratch/$name"
  mv "$scratch/$name" "$folder/$name"
  echo "made $folder/$name"
}

picture() { echo "testsrc2=size=${1:-320x180}:rate=${2:-25}:duration=${3:-8}"; }
sound() { echo "sine=frequency=${1:-440}:sample_rate=48000:duration=${2:-8}"; }
h264=(-c:v libx264 -preset veryfast -threads 1 -pix_fmt yuv420p -g 50 -bf 2 -sc_threshold 0)
aac=(-c:a aac -b:a 96k -ac 2)

# Pictures shown in another order than coded, key frame every 2 s, index at the end.
make_media h264-aac-moov-end.mp4 -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" "${h264[@]}" "${aac[@]}"
make_media h264-aac-faststart.mp4 -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" "${h264[@]}" "${aac[@]}" \
  -movflags +faststart
# 20 s at a rate that no millisecond divides, for several segments of each length.
make_media h264-aac-2997.mp4 -f lavfi -i "$(picture 320x180 30000/1001 20)" -f lavfi -i "$(sound 330 20)" \
  "${h264[@]}" "${aac[@]}" -movflags +faststart
make_media video-only.mp4 -f lavfi -i "$(picture)" "${h264[@]}"
make_media audio-only.m4a -f lavfi -i "$(sound 550)" "${aac[@]}"
# Sound that starts half a second after the picture: an empty edit in front of its track.
make_media audio-delay.mp4 -f lavfi -i "$(picture)" -itsoffset 0.5 -f lavfi -i "$(sound 660 7)" \
  "${h264[@]}" "${aac[@]}"
make_media two-audio.mp4 -f lavfi -i "$(picture)" -f lavfi -i "$(sound 440)" -f lavfi -i "$(sound 880)" \
  -map 0:v -map 1:a -map 2:a "${h264[@]}" "${aac[@]}" \
  -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu
make_media h264-aac.mov -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" "${h264[@]}" "${aac[@]}"
if ffmpeg -v error -hide_banner -h encoder=libx265 2>/dev/null | grep -q '^Encoder'; then
  make_media hevc-aac.mp4 -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" -c:v libx265 -preset ultrafast \
    -pix_fmt yuv420p -tag:v hvc1 -x265-params log-level=error:keyint=50:pools=1:frame-threads=1 "${aac[@]}"
else
  echo "make-fixtures: note: ffmpeg has no libx265 here; hevc-aac.mp4 is left out" >&2
fi
# Other encodings of h264-aac-faststart.mp4: key frames at the same times, and at others.
make_media rendition-90p.mp4 -f lavfi -i "$(picture 160x90)" "${h264[@]}"
make_media rendition-other-keys.mp4 -f lavfi -i "$(picture 160x90)" "${h264[@]}" -g 37
# Containers whose samples become an MP4: subtitles and two languages in the one, a clock that starts late in the other.
printf '1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> there\n\n2\n00:00:04,000 --> 00:00:05,000\nTwo\n' >"$scratch/en.srt"
make_media h264-aac-srt.mkv -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" -f lavfi -i "$(sound 880)" \
  -i "$scratch/en.srt" -map 0:v -map 1:a -map 2:a -map 3:s "${h264[@]}" "${aac[@]}" -c:s srt \
  -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -metadata:s:s:0 language=eng
make_media h264-aac.ts -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" "${h264[@]}" "${aac[@]}"
# Fragmented: what this version keeps as bytes and does not package.
make_media fragmented.mp4 -f lavfi -i "$(picture 320x180 25 4)" -f lavfi -i "$(sound 440 4)" "${h264[@]}" \
  "${aac[@]}" -movflags +frag_keyframe+empty_moov

# What transcoding has to get right: pictures on their side, at an uneven pace, of two fields, and codings that no browser plays.
make_media transcode-rotated.mp4 -i "$folder/h264-aac-faststart.mp4" -c copy -metadata:s:v:0 rotate=90
make_media transcode-vfr.mp4 -f lavfi -i "$(picture)" -vf "select='lt(n,60)+not(mod(n,7))'" -fps_mode vfr "${h264[@]}"
make_media transcode-interlaced.mp4 -f lavfi -i "$(picture 320x180 50)" -f lavfi -i "$(sound)" -vf interlace \
  -flags:v +ilme+ildct "${h264[@]}" "${aac[@]}"
make_media transcode-mpeg2.avi -f lavfi -i "$(picture)" -f lavfi -i "$(sound)" -c:v mpeg2video -q:v 5 -threads 1 -g 12 \
  -c:a mp2 -b:a 96k
make_media transcode-sound.flac -f lavfi -i "$(sound 440 5)" -c:a flac

# What ffmpeg does not write: 64-bit chunk offsets in a small file, and files that are damaged or no media.
python3 scripts/make-odd-fixtures.py "$folder" "$scratch"

if [ "${1:-}" = long ] && [ ! -e "$folder/long-2h.mp4" ]; then
  # One minute, coded once, repeated 120 times without coding again.
  encode -f lavfi -i "$(picture 192x108 25 60)" -f lavfi -i "$(sound 440 60)" -c:v libx264 -preset ultrafast \
    -threads 1 -pix_fmt yuv420p -crf 40 -g 50 -bf 0 -sc_threshold 0 -c:a aac -b:a 32k -ac 1 "${exact[@]}" \
    "$scratch/minute.mp4"
  for _ in {1..120}; do echo "file 'minute.mp4'"; done >"$scratch/minutes.txt"
  encode -f concat -i "$scratch/minutes.txt" -c copy "${exact[@]}" "$scratch/long-2h.mp4"
  mv "$scratch/long-2h.mp4" "$folder/long-2h.mp4"
  echo "made $folder/long-2h.mp4"
fi
