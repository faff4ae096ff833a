#!/usr/bin/env bash
# Runs every test of the workspace and ends with one line over all suites: "N passed, M failed".
# Fails when a test does, or when something does not compile. Arguments go to the test programs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p .cache
log=.cache/test.log

# Tests start the stages as processes, and cargo builds for a test only the binaries of its own package.
{
  cargo build --locked --workspace --bins &&
    cargo test --locked --workspace --no-fail-fast -- "$@"
} 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

awk -v status="$status" '
  /^test result:/ { passed += $4; failed += $6 }
  END {
    if (status != 0 && failed == 0) {
      print "something did not compile, or a suite broke off: see above"
      failed = 1
    }
    printf "%d passed, %d failed\n", passed, failed
  }' "$log"
exit "$status"
