#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# live.sh RPCPROF FILES SERVER: the command against processes that run.
. "$(dirname "$0")/lib.sh"
server=$3
READ=read-token-of-the-test CONTROL=control-token-of-the-test

# start NAME [ARGUMENT...]: a server; $NAME.address says where, and its end is that of descriptor 9
start() {
	name=$1
	shift
	mkfifo "$name.life"
	"$server" "$@" <"$name.life" >"$name.address" 2>"$name.log" &
	pids="$pids $!"
	pid=$!
	exec 9>"$name.life"
	for i in $(seq 100); do
		[ -s "$name.address" ] && return
		sleep 0.1
	done
	fail "$name does not start"
	cat "$name.log"
}
pids=
stop() {
	exec 9>&-
	for each in $pids; do
		wait "$each" || fail "a server ended with code $?"
	done
	pids=
}

run 4 status
shows err "no process serves at a private socket in $dir/rpcprof"

# One process at a private socket is found by itself.
start one
run 0 status
shows out "pid $pid, rpcprof"
shows out "recording off"
run 4 profile --seconds 1 -o off.pb.gz
shows err "rpcprof enable"
[ -e off.pb.gz ] && fail "a profile was written of nothing"
run 0 enable --for 1h
shows out "recording: on for"
shows out "(was off)"
run 0 status --address "$pid"
shows out "recording on, off in"
run 0 status --json
shows out "\"pid\": $pid,"
run 0 profile --seconds 1 -o now.pb.gz
run 0 top now.pb.gz
shows out "server /test.Greeter/Hello"
run 0 profile --seconds 1 --side client -o none.pb.gz
run 0 dump none.pb.gz
shows out "; 0 samples"
run 0 top --once
shows out "calls/s share p50 p90 p99 max"
shows out "/decode"
run 0 top --once --method /no.Such/Method
shows out "no call has ended in that time"
run 0 dump --last 3
shows out "3 calls"
run 0 dump --last 2 --format jsonl
[ "$(grep -c '"call"' out)" -eq 2 ] || fail "dump --last 2 --format jsonl"
run 0 inflight --min-duration 500ms
shows out "(in flight) /test.Greeter/Hello in /handler"
shows out "1 call,"

# What draws calls takes them from the process, too.
run 0 flame --last 20
shows out "server;/test.Greeter/Hello"
run 0 trace --last 5 -o live.trace
[ "$(grep -c '/decode' live.trace)" -ge 1 ] || fail "a trace without stages"
run 0 report -o live.html
run 0 convert --last 7 -o live.jsonl
[ "$(grep -c '"call"' live.jsonl)" -eq 7 ] || fail "convert of 7 calls"
run 1 flame --address 1 saved.pb

# What was saved is what is there, for each command that takes dumps.
run 0 disable
shows out "(was on)"
run 0 snapshot save -o saved.pb
run 0 dump --format json
grep -o '^{"id":"[^,]*' out | sort >live.ids
run 0 snapshot load saved.pb --format json
grep -o '^{"id":"[^,]*' out | sort >saved.ids
[ "$(wc -l <saved.ids)" -gt 100 ] || fail "few calls were saved"
comm -23 saved.ids live.ids | grep -q . && fail "a saved call that was not there"
run 0 flame saved.pb -o saved.svg
run 0 trace saved.pb -o saved.json
run 0 top saved.pb
shows out "server /test.Greeter/Hello"
head -c 1000 saved.pb >cut.pb
run 2 dump cut.pb
shows err "cut.pb: byte"

# Two of them: which one has to be said.
start two "unix:$dir/two.sock"
run 0 status --address "unix:$dir/two.sock"
stop

# A process that is gone.
run 4 status --address "unix:$dir/two.sock" --timeout 2s
shows err "UNAVAILABLE"
shows err "check the address"

# Tokens.
echo "$READ" >read.token
echo "$CONTROL" >control.token
echo "no-such-token-at-all" >wrong.token
start tokens 127.0.0.1:0 "$READ" "$CONTROL"
address=$(cat tokens.address)
run 4 status --address "$address"
shows err "UNAUTHENTICATED"
shows err "--token-file"
run 4 status --address "$address" --token-file wrong.token
shows err "UNAUTHENTICATED"
run 3 status --address "$address" --token-file no.token
shows err "no.token: No such file"
run 0 status --address "$address" --token-file read.token
shows out "2 without a token"
run 4 enable --address "$address" --token-file read.token
shows err "PERMISSION_DENIED"
run 0 enable --address "$address" --token-file control.token
run 4 status --address "$address" --token-file read.token --tls --timeout 2s
stop
rm -f tokens.life

# Wrong use.
run 1 status --timeout 5x
shows err "--timeout takes a number"
run 1 profile
shows err "-o OUT says where"
run 1 dump saved.pb --address 127.0.0.1:1
run 1 snapshot
run 1 status --cert a.pem
shows err "--cert and --key go together"
finish
