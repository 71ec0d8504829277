#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dynamic.sh MAJOR CORE LIBRARY...: what is said of the shared libraries to the dynamic linker. CORE
# among them needs nothing but libc.
major=$1 core=$2
shift 2
status=0

wrong() {
	echo "$file: $1"
	status=1
}

for file; do
	dynamic=$(readelf -dW "$file")
	name=$(basename "$file" | sed 's/\.so.*//').so.$major
	echo "$dynamic" | grep -q "SONAME.*\[$name\]" || wrong "SONAME is not $name"
	echo "$dynamic" | grep -q "NODELETE" || wrong "not linked -z nodelete"
	echo "$dynamic" | grep -q "SYMBOLIC" && wrong "linked -Bsymbolic"
	[ "$file" = "$core" ] || continue
	echo "$dynamic" | grep NEEDED | grep -v '\[libc\.so\.6\]\|\[ld-linux' &&
		wrong "needs more than libc"
done
exit $status
