#!/usr/bin/env bash
# Imports a film into the site `demo` under the id `demo`, serves it, says what to open, and stays until Ctrl-C.
#   scripts/run-demo.sh [FILM]        without FILM a clip is made by ffmpeg
# Configuration: $HEADWATER_CONFIG, else etc/headwater.toml.
set -euo pipefail

here=$PWD
cd "$(dirname "$0")/.."
readonly binary=".build/release/headwater"
readonly config="${HEADWATER_CONFIG:-etc/headwater.toml}"
film=${1:-}

fail() { printf 'run: %s\n' "$*" >&2; exit 1; }
[ -x "$binary" ] || fail "no program at $binary: make build"

if [ -z "$film" ]; then
  film=.run/demo.mp4
  if [ ! -e "$film" ]; then
    command -v ffmpeg >/dev/null || fail "no ffmpeg to make a clip with: scripts/install-deps.sh test, or VIDEO=film.mp4"
    echo "run: making a clip of one minute"
    mkdir -p .run
    ffmpeg -v error -nostdin -y -f lavfi -i "testsrc2=size=1280x720:rate=30:duration=60" \
      -f lavfi -i "sine=frequency=330:sample_rate=48000:duration=60" \
      -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -sc_threshold 0 -c:a aac -b:a 128k -ac 2 \
      -movflags +faststart -f mp4 "$film.part"
    mv "$film.part" "$film"
  fi
else
  [[ "$film" = /* ]] || film="$here/$film"
  [ -r "$film" ] || fail "cannot read $film"
fi

# Several servers may share a port on purpose (SO_REUSEPORT), so the kernel would not complain: ask before.
listen=$(sed -nE 's/^[[:space:]]*listen[[:space:]]*=[^"]*"([^"]+)".*/\1/p' "$config" | head -n 1)
admin=$(sed -nE 's/^[[:space:]]*admin[[:space:]]*=[^"]*"([^"]+)".*/\1/p' "$config" | head -n 1)
for address in "$listen" "$admin"; do
  port=${address##*:}
  port=${port%% *}
  if [[ "$port" =~ ^[1-9][0-9]*$ ]] && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is taken by another program: stop it, or choose another port in $config"
  fi
done

"$binary" import --config "$config" --site demo --id demo "$film"

announce() {
  # Ctrl-C goes to the whole terminal; this reader stays for the server's last words.
  trap '' INT TERM HUP
  local line url
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case "$line" in
      *listening\ http://*)
        url=${line##*listening }
        url=${url/0.0.0.0/localhost}
        cat <<TEXT

  HLS          $url/v/demo/master.m3u8
  DASH         $url/v/demo/manifest.mpd
  the file     $url/v/demo/source

  ffplay $url/v/demo/master.m3u8
  vlc $url/v/demo/manifest.mpd
  (Safari, Chrome and Edge play the HLS URL as it is.)

  Ctrl-C ends the server.

TEXT
        ;;
    esac
  done
}

"$binary" serve --config "$config" > >(announce) 2>&1 &
server=$!
stopping=0
trap 'stopping=1; kill -TERM "$server" 2>/dev/null || true' INT TERM HUP
status=0
wait "$server" || status=$?
# A signal interrupts `wait`; the server's own exit code comes from waiting again.
while [ "$stopping" -ne 0 ]; do
  stopping=0
  status=0
  wait "$server" || status=$?
done
exit "$status"
