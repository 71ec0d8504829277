# SPDX-License-Identifier: Apache-2.0
# errors.sh RPCPROF FILES: what the command says, and which exit code it gives, when it cannot.
. "$(dirname "$0")/lib.sh"

# 1: usage
for arguments in "" "nothing" "top a b" "top -n 0 old.pb.gz" "top -n x old.pb.gz" \
	"top --sort x old.pb.gz" "top --nothing" "dump -f xml calls.json" \
	"dump --status x calls.json" "dump --min-duration 5 calls.json" "merge old.pb.gz" \
	"merge -o x" "diff old.pb.gz" "diff a b c" "top --sort p99 old.pb.gz" \
	"dump --side server old.pb.gz" "convert calls.json" "convert -f x calls.json" \
	"convert -o x.json calls.json calls.json" "convert -f proto old.pb.gz" "snapshot" \
	"snapshot lose calls.json" "trace --address unix:/tmp/x calls.json" "flame -f png calls.json"; do
	run 1 $arguments # unquoted: words
	[ -s err ] || fail "rpcprof $arguments: no message"
	[ -s out ] && fail "rpcprof $arguments: something on standard output"
done

# 3: what cannot be had
run 3 top not-there
shows err "rpcprof: not-there: No such file or directory"
run 3 top .
shows err "Is a directory"
run 3 merge -o not-there/x old.pb.gz
shows err "not-there/x: not written: No such file or directory"
"$rpcprof" top calls.json >/dev/full 2>err
[ $? -eq 3 ] || fail "top to a full disk"
shows err "standard output: No space left on device"
"$rpcprof" dump -f json calls.json >/dev/full 2>err
[ $? -eq 3 ] || fail "dump to a full disk"
run 3 merge -o /dev/full old.pb.gz
shows err "/dev/full: not written: No space left on device"
[ -c /dev/full ] || fail "merge replaced a device"

# 2: bad input: the file, the byte, what to do
: >empty
run 2 top empty
shows err "rpcprof: empty: byte 0: empty; "
head -c 100 old.pb.gz >cut.pb.gz
run 2 top cut.pb.gz
shows err "rpcprof: cut.pb.gz: byte 100: truncated: the gzip data does not end; fetch or write the file again"
gzip -dc old.pb.gz | head -c 300 >cut.pb
run 2 dump cut.pb
shows err "rpcprof: cut.pb: byte "
gzip -c cut.pb >whole.gz
run 2 dump whole.gz
shows err " of the uncompressed data: "
head -c 1000 calls.json >cut.json
run 2 top cut.json
shows err "rpcprof: cut.json: byte 1000: "
sed '$d' calls.jsonl >cut.jsonl
run 2 dump cut.jsonl
shows err "rpcprof: cut.jsonl: byte $(stat -c %s cut.jsonl): truncated"
[ -s out ] && fail "half a dump was shown"
sed '3s/"side"/"sidf"/' calls.jsonl >bad.jsonl
run 2 dump bad.jsonl
shows err "rpcprof: bad.jsonl: byte $(head -n 2 calls.jsonl | wc -c): a call without \"side\""
sed '4s/"duration_ns"/"x"/' calls.json >bad.json
run 2 top bad.json
shows err "rpcprof: bad.json: byte $(head -n 3 calls.json | wc -c): a call without \"duration_ns\""
sed '1s/"version":1/"version":9/' calls.json >later.json
run 2 top later.json
shows err "of a version that this rpcprof does not read"
"$rpcprof" dump -f proto calls.json >calls.dump
head -c -1 calls.dump >cut.dump
run 2 dump cut.dump
shows err "rpcprof: cut.dump: byte $(stat -c %s cut.dump): truncated: the last message is not whole"
head -c 3000 calls.dump >cut.dump
run 2 convert -o output.json cut.dump
[ -e output.json ] && fail "half a dump was written"
{ cat calls.dump; printf '\004\377\377\377\377'; } >bad.dump
run 2 top bad.dump
shows err "rpcprof: bad.dump: byte $(stat -c %s calls.dump): not a message rpcprof.v1.Dump; save the snapshot again"
{ cat calls.dump; printf '\377\377\377\377\377'; } >bad.dump
run 2 top bad.dump
shows err "not the length of a message of at most 1 MiB"
echo '{"a":1}' >strange.json
run 2 top strange.json
shows err "\"format\" is not \"rpcprof-dump\""
printf 'hello, this is a text' >text
run 2 top text
shows err "rpcprof: text: byte 2: not a profile"

# oversized: a gzip bomb, a sparse file, a deep document, a long line
head -c 300000000 /dev/zero | gzip -1 >bomb.gz
run 2 top bomb.gz
shows err "uncompresses to more than the limit of 268435456 bytes"
truncate -s 300M big
run 2 top big
shows err "rpcprof: big: byte 268435456: goes on past the limit of 256 MiB"
{ printf '{"format":"rpcprof-dump","calls":'; head -c 1000000 /dev/zero | tr '\0' '['; } >deep.json
run 2 top deep.json
shows err "rpcprof: deep.json: byte "
{ head -n 1 calls.jsonl; head -c 5000000 /dev/zero | tr '\0' 'x'; } >long.jsonl
run 2 top long.jsonl
shows err "a line of more than 4 MiB"

# files that do not go together leave the output as it was
echo before >output
run 2 merge -o output old.pb.gz other.pb.gz
shows err "rpcprof: other.pb.gz: byte 0 of the uncompressed data: its period type is not that"
run 2 merge -o output old.pb.gz calls.json
shows err "only profiles can be merged"
run 2 merge -o output old.pb.gz cut.pb.gz
[ "$(cat output)" = before ] || fail "the output was touched"
run 2 diff old.pb.gz other.pb.gz
shows err "compare files of one kind"
run 2 diff old.pb.gz calls.json
shows err "compare files of one kind"
run 2 diff calls.json old.pb.gz

# a name made to act on the terminal
mkdir "$(printf 'a\033[2Jb')"
run 3 top "$(printf 'a\033[2Jb')"
shows err 'a\x1b[2Jb'
grep -q "$(printf '\033')" err && fail "an escape sequence in a message"

finish
