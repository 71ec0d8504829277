# SPDX-License-Identifier: Apache-2.0
# drawings.sh RPCPROF FILES: traces, flame graphs and reports; of hostile names and of no calls too.
. "$(dirname "$0")/lib.sh"
tests=$source/tests/cli

# inert FILE: no control character but newline, nothing that is not UTF-8
inert() {
	LC_ALL=C grep -q '[[:cntrl:]]' "$1" && fail "a control character in $1"
	iconv -f UTF-8 -t UTF-8 "$1" >/dev/null || fail "$1 is not UTF-8"
}

# xml FILE: well-formed, and no element but those that are drawn
xml() {
	inert "$1"
	python3 - "$1" <<-'END' || fail "$1 is not what an SVG is"
		import sys, xml.etree.ElementTree as tree
		names = {e.tag.split("}")[1] for e in tree.parse(sys.argv[1]).iter()}
		assert names <= {"svg", "style", "rect", "text", "g", "title"}, names
	END
}

# trace: every event checked; joined pairs are exactly those made
run 0 trace -o pairs.trace pairs.jsonl
python3 "$tests/trace.py" pairs.trace 100 50 || fail "trace of pairs"
inert pairs.trace
run 0 trace -o calls.trace calls.json
python3 "$tests/trace.py" calls.trace 101 0 || fail "trace without contexts"
grep -q '"note":"No call carries a trace context' calls.trace || fail "trace does not say why"
run 0 trace -o half.trace --side server pairs.jsonl
python3 "$tests/trace.py" half.trace 50 0 || fail "trace of one side"
grep -q '"note":"Calls carry trace contexts, but' half.trace || fail "trace does not say why"
run 0 trace --last 7 -o last.trace calls.json
python3 "$tests/trace.py" last.trace 7 0 || fail "trace --last"
run 0 trace -o both.trace pairs.jsonl calls.jsonl
python3 "$tests/trace.py" both.trace 201 50 || fail "trace of two files"
run 0 trace -o none.trace none.jsonl
python3 "$tests/trace.py" none.trace 0 0 || fail "trace of no calls"

# flame: of a dump what the exporter made of the same calls, to the nanosecond
for file in pairs.jsonl pairs.pb.gz; do
	run 0 flame $file
	sort out >$file.folded
	inert out
done
cmp pairs.jsonl.folded pairs.pb.gz.folded || fail "flame of a dump is not that of its profile"
all=$(awk '{ sum += $NF } END { print sum }' pairs.jsonl.folded)
[ "$all" -eq $((50 * (140 + 200) * 1000)) ] || fail "the values add up to $all"
run 0 flame -t calls old.pb.gz
shows out "server;/shop.Cart/Get 10"
run 0 flame other.pb.gz
shows out "main;main;leaf 3000"
run 0 flame none.jsonl
[ -s out ] && fail "folded stacks of no calls"
for file in pairs.jsonl pairs.pb.gz other.pb.gz none.jsonl; do
	run 0 flame -o $file.svg $file
	xml $file.svg
done
grep -q "100 calls, 17.000 ms in all" pairs.jsonl.svg || fail "the SVG has no sum"
grep -q "No calls" none.jsonl.svg || fail "the SVG does not say that there are no calls"

# a name of 64 KiB, as only others write it
python3 - calls.jsonl >long.jsonl <<'END'
import sys
for line in open(sys.argv[1]):
    print(line.rstrip().replace("/shop.Cart/Put", "/" + "<x>" * 21845))
END
run 0 trace -o long.trace long.jsonl
python3 "$tests/trace.py" long.trace 101 0 || fail "trace of a long name"
[ "$(stat -c %s long.trace)" -lt 100000 ] || fail "the long name is repeated"
run 0 flame -o long.svg long.jsonl
xml long.svg

# usage and bad input: the output stays as it was
echo before >output
run 1 trace -o output old.pb.gz
shows err "a profile has no single calls"
run 1 flame -o output -t nothing old.pb.gz
shows err "no sample type \"nothing\""
run 1 flame -o output --side server old.pb.gz
sed '$d' calls.jsonl >cut.jsonl
run 2 trace -o output calls.jsonl cut.jsonl
run 2 flame -o output calls.jsonl other.pb.gz
shows err "compare files of one kind"
[ "$(cat output)" = before ] || fail "the output was touched"
ls | grep 'output\.' && fail "a temporary file was left"
run 3 flame -o /dev/full calls.jsonl
run 3 trace -o not-there/x calls.jsonl

finish
