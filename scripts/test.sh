#!/usr/bin/env bash
# Runs all tests and ends with what failed, so that the last screen of a long log tells it.
#
#   scripts/test.sh            all tests once
#   scripts/test.sh --again    what failed (at most five tests) runs once more, with nothing beside it
#
# The second run is for machines that are not ours: a suite of half an hour that loads every core can meet a machine
# that stands still for seconds. It hides nothing: what failed first is printed as such, what is broken fails again.
# Exit status: that of the tests, of the second run where there was one.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p .run

# run LOG ARGUMENT...
run() {
  local log=$1
  shift
  swift test --disable-xctest "$@" 2>&1 | tee "$log"
}

# Names of functions of tests that failed, one a line: "✘ Test name(of:) with 2 test cases failed after 3 seconds with 1 issue."
failed_tests() {
  sed -nE 's/^✘ Test "?([A-Za-z0-9_]+)\(.*\)"?( with [0-9]+ test cases?)? failed after .*/\1/p' "$1" | sort -u
}

# Whether the names say all that failed: the run came to its end, and nothing failed under another kind of name or beside tests.
is_told_by_names() {
  grep -qE '^[^ ]+ Test run with [0-9]+ tests? .* failed after' "$1" || return 1
  ! grep -qE '^✘ Suite .* recorded an issue' "$1" || return 1
  ! grep -E '^✘ Test .* failed after' "$1" | grep -vE '^✘ Test (run with|case )' |
    grep -qvE '^✘ Test "?[A-Za-z0-9_]+\(.*\)"?( with [0-9]+ test cases?)? failed after'
}

summary() {
  printf '\n== what failed\n'
  grep -E '^(✘ Test .* (recorded an issue|failed after)|↳ )|error:|[Ff]atal error' "$1" | grep -v 'known issue at' | head -80
}

run .run/test.log && exit 0
status=$?
summary .run/test.log
[ "${1:-}" = --again ] || exit "$status"

names=$(failed_tests .run/test.log)
count=$(printf '%s' "$names" | grep -c .)
if [ "$count" -eq 0 ] || [ "$count" -gt 5 ] || ! is_told_by_names .run/test.log; then
  printf '%s tests failed: not run again.\n' "$count"
  exit "$status"
fi
printf '\n== once more, alone: %s\n' "$(echo $names)"
run .run/test-again.log --skip-build --filter "[./](${names//$'\n'/|})\(" || {
  status=$?
  summary .run/test-again.log
  exit "$status"
}
# A filter that matches nothing passes too.
grep -qE '^[^ ]+ Test run with [1-9][0-9]* tests? .* passed' .run/test-again.log || exit "$status"
printf '\nPassed alone, failed among all the others: %s\n' "$(echo $names)"
