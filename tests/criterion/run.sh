#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM: every test named good passes, every one named bad fails, and the program says so.
output=$("$1" 2>/dev/null) && { echo "the program exits with 0"; exit 1; }
wrong=$(echo "$output" | grep -E '^(FAIL good|pass bad)|disabled')
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
good=$(echo "$output" | grep -c '^pass good/')
bad=$(echo "$output" | grep -c '^FAIL bad/')
[ "$good" -ge 5 ] && [ "$bad" -ge 21 ] || { echo "ran $good good, $bad bad"; exit 1; }
[ "$(echo "$output" | tail -n 1)" = "$good passed, $bad failed" ] || { echo "$output"; exit 1; }
RPCPROF_TEST_IN_PROCESS=good/passes "$1" 2>/dev/null || { echo "in process, good fails"; exit 1; }
RPCPROF_TEST_IN_PROCESS=bad/eq "$1" 2>/dev/null && { echo "in process, bad passes"; exit 1; }
RPCPROF_TEST_IN_PROCESS=no/such "$1" 2>/dev/null && { echo "no such test, yet 0"; exit 1; }
exit 0
