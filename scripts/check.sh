#!/usr/bin/env bash
# What every change is held to: format, house rules, import arrows, a build without warnings.
#   scripts/check.sh          all
#   scripts/check.sh fast     without building
set -euo pipefail

cd "$(dirname "$0")/.."
failed=0
problem() { printf 'check: %s\n' "$*" >&2; failed=1; }
# Lists what grep finds as problems under a heading; finding nothing is what is wanted.
none() {
  local heading=$1 found status=0
  shift
  found=$(git grep -nE "$@") || status=$?
  case $status in
    0) problem "$heading"$'\n'"$found" ;;
    1) ;;
    *) problem "$heading: git grep failed" ;;
  esac
}

echo "check: format"
swift format lint --strict --recursive --parallel Sources Plugins Tests Package.swift || problem "run: make format"

echo "check: house rules"
none "paths of one machine" '/(home|Users|root|work|farm)/[A-Za-z]' -- . ':!scripts/check.sh' ':!LICENSE'
none "unfinished work" '\b(TODO|FIXME|XXX)\b' -- '*.swift' '*.sh' '*.py' '*.md' Makefile .ci ':!scripts/check.sh'
none "forced tries" '\btry!' -- '*.swift'
none "unchecked arithmetic or exclusivity" '\-Ounchecked' -- Package.swift Makefile scripts .ci ':!scripts/check.sh'
none "trailing white space" '[[:blank:]]$' -- '*.swift' '*.sh' '*.py' '*.toml' Makefile .ci
while IFS= read -r file; do
  case "$(basename "$file")" in *Utils.swift | *Helpers.swift | *Common.swift | *Manager.swift) problem "$file: a name that says nothing" ;; esac
  lines=$(wc -l <"$file")
  if [ "$lines" -gt 500 ]; then problem "$file has $lines lines: split it (500)"; fi
done < <(git ls-files 'Sources/*.swift' 'Plugins/*.swift')
while IFS= read -r line; do
  problem "no reason on the line above: $line"
done < <(git ls-files '*.swift' | xargs awk '
  /@unchecked Sendable/ && $0 !~ /^[[:space:]]*\/\// && previous !~ /^[[:space:]]*\/\// { print FILENAME ":" FNR ": " $0 }
  { previous = $0 }')
while IFS= read -r file; do
  bash -n "$file" || problem "$file does not parse"
  [ -x "$file" ] || problem "$file is not executable"
done < <(git ls-files 'scripts/*.sh' .ci/run)

if [ "${1:-}" != fast ]; then
  echo "check: build, warnings are errors"
  swift build --build-tests || problem "the build"
  echo "check: import arrows"
  # A filter that matches nothing would pass: the number of tests must not be 0.
  if arrows=$(swift test --skip-build --disable-xctest --filter ModuleArrowsTests 2>&1) &&
    grep -qE 'Test run with [1-9][0-9]* tests?.* passed' <<<"$arrows"; then
    tail -n 1 <<<"$arrows"
  else
    problem "import arrows"$'\n'"$arrows"
  fi
fi

[ "$failed" -eq 0 ] || exit 1
echo "check: passed"
