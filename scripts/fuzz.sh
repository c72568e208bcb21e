#!/bin/sh
# Fuzzes one target with libFuzzer and the address sanitizer.
#
#   scripts/fuzz.sh TARGET SECONDS     fuzz for that long
#   scripts/fuzz.sh TARGET 0           only run the corpus once: quick, bounded, for every change
#
# A finding is written to .run/fuzz/TARGET/ and the exit status is not 0. Fix it, then keep the file in the
# target's Corpus/ under a name that says what it was.
set -eu
cd "$(dirname "$0")/.."

target=${1:?usage: scripts/fuzz.sh TARGET SECONDS}
seconds=${2:?usage: scripts/fuzz.sh TARGET SECONDS}

# Target name -> what is compiled into one module with Tests/Fuzz/TARGET/*.swift.
case $target in
HTTP) sources="Sources/HTTP/*.swift Tests/HTTPTests/HTTPInvariants.swift Tests/HTTPTests/SplitMix64.swift" ;;
Packaging) sources="$(find Sources/Packaging -name '*.swift')" ;;
Signing)
  sources=""
  for name in QueryParameters StrictBase64 HeadwaterToken AkamaiToken CBORReader CommonAccessToken CloudFrontPolicy; do
    sources="$sources Sources/Origin/Signing/$name.swift"
  done
  ;;
*)
  echo "fuzz.sh: no target named $target" >&2
  exit 64
  ;;
esac

work=.run/fuzz/$target
corpus=Tests/Fuzz/$target/Corpus
mkdir -p "$work/found"
# Optimised as in a release, so that what is fuzzed is what runs; preconditions and overflow traps stay on.
# shellcheck disable=SC2086
swiftc -swift-version 6 -O -parse-as-library -sanitize=fuzzer,address \
  -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault \
  -enable-upcoming-feature MemberImportVisibility -enable-experimental-feature Lifetimes \
  -module-name "${target}Fuzz" $sources Tests/Fuzz/"$target"/*.swift -o "$work/fuzz" \
  2>"$work/build.log" || {
  grep -v 'Cannot export local symbol' "$work/build.log" >&2
  exit 1
}

if [ "$seconds" -eq 0 ]; then
  exec "$work/fuzz" -runs=0 -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256 "$corpus"
fi
# What one input may take is the malloc limit. The limit on the whole is wide, because the sanitizer keeps what was freed.
# New inputs go to .run, not into the corpus: the first folder is the one libFuzzer writes to.
exec "$work/fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256 \
  -artifact_prefix="$work/" -print_final_stats=1 "$work/found" "$corpus"
