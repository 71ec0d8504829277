#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE: the README's program is examples/readme.c, which the tests run; the files that the
# documents name are there; the ordering edges of docs/design.md are labelled in the code.
set -eu
cd "$1"

sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' | diff - examples/readme.c ||
	{ echo "README.md: its program is not examples/readme.c" >&2; exit 1; }

failed=0
for document in README.md CONTRIBUTING.md docs/*.md; do
	for link in $(grep -o '](\([^)#:]*\))' "$document" | sed 's/^](//; s/)$//'); do
		[ -e "$(dirname "$document")/$link" ] ||
			{ echo "$document: $link is not there" >&2; failed=1; }
	done
	for file in $(grep -oE '`(examples|scripts|timers|buffer|stats|tests)/[a-z0-9_./]+`' "$document" | tr -d '`'); do
		[ -e "$file" ] || { echo "$document: $file is not there" >&2; failed=1; }
	done
done

for edge in E1 E2 E3 I1 I2 I3 I4 S1 S2 S3 V1 V2 V3 V4 A1 R1 T1 M1 F1 F2 K1 K2 H1 H2; do
	grep -rqE "\b$edge\b" stats include/rpcprof ||
		{ echo "docs/design.md: no edge $edge in the code" >&2; failed=1; }
done
exit $failed
