#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh INCLUDE_DIR PATTERNS COMPILER...: each public header of these compiles when it is all that
# a file includes, and all of them in one file do, each twice.
include=$1 patterns=$2
shift 2
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
status=0 count=0
for header in $(cd "$include/rpcprof" && ls -d $patterns); do
	name=rpcprof/$header
	printf '#include "%s"\n#include "%s"\n' "$name" "$name" | tee -a "$dir/all" >"$dir/one"
	"$@" -I"$include" "$dir/one" || { echo "$name does not compile alone"; status=1; }
	count=$((count + 1))
done
"$@" -I"$include" "$dir/all" || status=1
echo "$count headers"
[ "$count" -gt 0 ] && exit $status
