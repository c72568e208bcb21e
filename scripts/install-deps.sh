#!/usr/bin/env bash
# Installs what Headwater needs from Debian 12's own packages, by group:
#   scripts/install-deps.sh [build] [test] [bench] [fuzz]        (no group: build)
# Asks dpkg first and does nothing when all is there. Needs root, or sudo, only when something is missing.
# The Swift toolchain is not a Debian package: it is looked for and named when absent, never installed.
set -euo pipefail

readonly minimum_swift="6.2"

# The players and parsers that judge what the tests are answered.
readonly gstreamer="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav"

packages_of() {
  case "$1" in
    build) echo "ca-certificates git make pkg-config binutils libc6-dev libgcc-12-dev libstdc++-12-dev zlib1g-dev \
      libuv1-dev liblmdb-dev libssl-dev libnghttp2-dev libcurl4-openssl-dev libhiredis-dev libavformat-dev libavcodec-dev libavutil-dev \
      libavfilter-dev libswscale-dev libswresample-dev" ;;
    test) echo "ffmpeg curl aria2 chromium firefox-esr python3 procps nginx mpv tshark libxml2-utils nghttp2-client openssl redis-server varnish varnish-modules trafficserver libnginx-mod-http-cache-purge $gstreamer" ;;
    bench) echo "ffmpeg curl python3 procps nginx wrk nghttp2-client openssl valgrind binutils strace" ;;
    fuzz) echo "libc6-dev libstdc++-12-dev" ;;
    *) return 1 ;;
  esac
}

say() { printf 'install-deps: %s\n' "$*"; }
fail() { printf 'install-deps: %s\n' "$*" >&2; exit 1; }

check_swift() {
  command -v swift >/dev/null || fail "Swift is missing. Install Swift $minimum_swift or newer for Debian 12 \
(https://www.swift.org/install/linux/) and put its usr/bin on PATH."
  local found
  found=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)+).*/\1/p' | head -n 1)
  [ -n "$found" ] || fail "cannot read a version from 'swift --version'; Swift $minimum_swift or newer is needed."
  if [ "$(printf '%s\n%s\n' "$minimum_swift" "$found" | sort -V | head -n 1)" != "$minimum_swift" ]; then
    fail "Swift $found is too old: $minimum_swift or newer is needed (https://www.swift.org/install/linux/)."
  fi
  say "Swift $found"
}

installed() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

# A package may start its service when it is installed. While this policy stands, none does.
deny_services() {
  [ -e /usr/sbin/policy-rc.d ] && return
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
  "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
}

groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(build)
wanted=()
for group in "${groups[@]}"; do
  list=$(packages_of "$group") || fail "no group '$group': use build, test, bench or fuzz."
  read -r -a names <<<"$list"
  wanted+=("${names[@]}")
done

command -v dpkg-query >/dev/null || fail "this script is for Debian 12; install by hand: ${wanted[*]}"
missing=()
for package in "${wanted[@]}"; do
  if ! installed "$package" && [[ " ${missing[*]-} " != *" $package "* ]]; then missing+=("$package"); fi
done

if [ ${#missing[@]} -eq 0 ]; then
  say "${groups[*]}: all packages are there"
else
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo; run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "${groups[*]}: installing ${missing[*]}"
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
  "${apt[@]}" update
  deny_services
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
  # The bench runs nginx by itself; a system service that takes port 80 at the next boot is nobody's wish.
  if [[ " ${missing[*]} " == *" nginx "* ]] && command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl disable nginx >/dev/null 2>&1 || say "note: could not disable the nginx service"
  fi
fi
check_swift
