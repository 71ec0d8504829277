#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE_DIR GCC FILE...: the shared and static libraries export what cmake/rpcprof.map
# lists. GCC may be "none": then the headers' prototypes are not compared.
export LC_ALL=C
source=$1 gcc=$2
shift 2
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
status=0

same() { # same WHAT FILE: FILE, sorted, is the list
	sort "$2" | diff "$dir/list" - >"$dir/diff" && return
	echo "cmake/rpcprof.map (<) and $1 (>) differ:"
	grep '^[<>]' "$dir/diff"
	status=1
}

sed -n 's/^[[:space:]]*\(rpcprof_[a-z0-9_]*\);$/\1/p' "$source/cmake/rpcprof.map" | sort >"$dir/list"
[ -s "$dir/list" ] || { echo "cmake/rpcprof.map lists nothing"; exit 1; }

for file; do
	case $file in
	*.a) # global and not hidden: what a public header declares and a source defines
		readelf -sW "$file" | awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" &&
			$8 ~ /^rpcprof_/ { print $8 }' >>"$dir/static" ;;
	*)   nm -D --defined-only "$file" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' \
			>>"$dir/shared" ;;
	esac
done
same "the shared libraries" "$dir/shared"
same "the static libraries" "$dir/static"

if [ "$gcc" != none ]; then
	for header in "$source"/include/rpcprof/*.h; do
		"$gcc" -std=gnu11 -I"$source/include" -fsyntax-only -aux-info "$dir/aux" -x c "$header" ||
			status=1
		# /* include/rpcprof/x.h:1:NC */ extern int rpcprof_y (...);
		awk '/\/rpcprof\/[a-z_]*\.h:[0-9]*:NC \*\/ extern/ && match($0, /rpcprof_[a-z0-9_]* \(/) {
			print substr($0, RSTART, RLENGTH - 2) }' "$dir/aux" >>"$dir/functions"
		sed -n 's/^extern .*[ *]\(rpcprof_[a-z0-9_]*\);\{0,1\}$/\1/p' "$header" >>"$dir/variables"
	done
	sort -u "$dir/functions" "$dir/variables" >"$dir/declared"
	same "the public headers" "$dir/declared"
fi
exit $status
