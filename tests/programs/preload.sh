#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# preload.sh RPCPROF LIBRARY CORE CONTROL [ECHO]: programs that know nothing of rpcprof, by `rpcprof run`.
set -eu
rpcprof=$1 library=$2 core=$3 control=$4 echo=${5-}
. "$(dirname "$0")/lib.sh"
cd "$dir"
export XDG_RUNTIME_DIR="$dir" # where the default control addresses are

# It links nothing of gRPC, nor what sends profiles, and exports nothing but what it stands before.
readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' >needed
[ -s needed ] || die "no NEEDED list"
! grep -E 'grpc|libgpr|absl|stdc|curl|ssl|yaml' needed || die "the library links that"
! nm -D --undefined-only "$library" | grep -E ' (grpc|gpr)_' || die "the library needs that"
! nm -D --defined-only "$library" | grep -vE ' [TA] (grpc_|_ZN9grpc_core6Server)' ||
	die "the library exports that"

run() {
	seven "$rpcprof" run "$@"
}

# C, both sides, two kinds of queue; tags that are no addresses.
for queue in next pluck; do
	: >port
	"$rpcprof" run -o server.jsonl -- "$core" serve 50 >port &
	server=$!
	port_of port
	run -o client.jsonl -- "$core" call "$port" 50 $queue
	code=0
	wait $server || code=$?
	[ $code -eq 7 ] || die "the server: exit status $code"
	for side in server client; do
		[ "$(calls $side.jsonl $side /programs.Core/Say)" -eq 50 ] || die "$side: not 50 calls"
		[ "$(grep -c '"status":6,' $side.jsonl)" -eq 50 ] || die "$side: a status"
	done
	# Metadata is never added.
	! grep trace_id server.jsonl client.jsonl || die "a context that nobody sent"
done

# C++: every way to serve and to call; names, kinds and statuses of all.
if [ -n "$echo" ]; then
	for by in sync async callback; do
		for from in sync async callback; do
			run -o calls.jsonl -- "$echo" $by $from 20
			methods=Say
			[ $by = sync ] && methods="Say Collect Repeat Talk"
			for side in server client; do
				for method in $methods; do
					n=$(calls calls.jsonl $side /programs.Echo/$method)
					[ "$n" -eq 20 ] || die "$by, $from, $side, $method: $n calls"
				done
			done
			[ "$(grep -c '"status":11,' calls.jsonl)" -eq \
				"$([ $by = sync ] && echo 40 || echo 0)" ] || die "$by: Talk's status"
		done
	done
	# Each form by its name, and the process's own number in it.
	run -o 'of.%p.json' -- "$echo" sync sync 3
	"$rpcprof" dump of.*.json | grep -q /programs.Echo/Say || die "JSON"
	run -o calls.pb.gz -- "$echo" sync sync 3
	"$rpcprof" top calls.pb.gz | grep -q /programs.Echo/Say || die "a profile"
	run -o calls.txt -- "$echo" sync sync 3
	grep -q /programs.Echo/Say calls.txt || die "a table"
	run --off -o off.jsonl -- "$echo" sync sync 3
	[ "$(grep -c '"side"' off.jsonl)" -eq 0 ] || die "off, and yet recorded"
fi

# The control address: whoever owns it may ask, write and leave nothing behind.
: >port
(umask 0 && exec "$rpcprof" run -a "unix:$dir/control" -o asked.jsonl -- "$core" serve 2) >port &
server=$!
port_of port
"$core" call "$port" 1 next || true
[ "$(stat -c %a control)" = 600 ] || die "the socket's mode"
ask() { # ask STATUS METHOD
	code=0
	"$control" "$dir/control" "$2" >answer 2>message || code=$?
	[ $code -eq "$1" ] || die "$2: status $code, not $1: $(cat message)"
}
ask 0 /rpcprof.v1.Profiling/Status </dev/null
[ -s answer ] || die "no status"
ask 12 /no.Service/Method </dev/null
ask 8 /rpcprof.v1.Profiling/Status </dev/zero
"$rpcprof" status --address "plain:$dir/control" | grep -q '^recording   on' || die "rpcprof status"
[ "$("$rpcprof" dump --address "plain:$dir/control" --format jsonl | grep -c /programs.Core/Say)" -eq 1 ] ||
	die "rpcprof dump"
"$rpcprof" disable --address "plain:$dir/control" | grep -q 'was on' || die "rpcprof disable"
"$rpcprof" enable --address "plain:$dir/control" | grep -q 'was off' || die "rpcprof enable"
"$rpcprof" status --address "plain:$dir/nothing" 2>message && die "a status of nothing"
grep -q 'UNAVAILABLE: No such file or directory' message || die "no reason: $(cat message)"
ask 0 /rpcprof.Preload/Write </dev/null
[ "$(calls asked.jsonl server /programs.Core/Say)" -eq 1 ] || die "not written when asked"
"$core" call "$port" 1 next || true
code=0
wait $server || code=$?
[ $code -eq 7 ] || die "the server: exit status $code"
[ "$(calls asked.jsonl server /programs.Core/Say)" -eq 2 ] || die "not written at the end"
[ ! -e control ] || die "the socket is still there"

# At an address of its own it is found by itself.
: >port
"$rpcprof" run -o found.jsonl -- "$core" serve 1 >port &
server=$!
port_of port
"$rpcprof" status | grep -q "pid $server, rpcprof" || die "not found"
"$core" call "$port" 1 next || true
wait $server || true

# What the program sees is what it would see: its environment, its directory, its exit status.
env >plain
"$rpcprof" run -o gone -- env >recorded 2>messages
diff plain recorded || die "the environment is another"
grep -q 'is not linked to the shared library of gRPC core' messages || die "no warning"
[ ! -e gone ] || die "a file of nothing"
code=0
"$rpcprof" run -o gone -- sh -c 'exit 3' 2>/dev/null || code=$?
[ $code -eq 3 ] || die "exit status $code, not 3"
code=0
"$rpcprof" run -o gone -- sh -c 'kill -TERM $$' 2>/dev/null || code=$?
[ $code -eq 143 ] || die "exit status $code, not 143: a signal"
code=0
"$rpcprof" run -- /nowhere/at-all 2>/dev/null || code=$?
[ $code -eq 127 ] || die "exit status $code, not 127"

# Programs that it starts: with --follow only.
: >port
"$core" serve 5 >port &
server=$!
port_of port
"$rpcprof" run -o child.jsonl -- sh -c "$core call $port 2 next; exit 7" 2>/dev/null || true
[ ! -e child.jsonl ] || die "a child was recorded"
"$rpcprof" run --follow -o child.jsonl -- sh -c "$core call $port 3 next; exit 7" 2>/dev/null || true
[ "$(cat ./*.child.jsonl | grep -c '"side":"client"')" -eq 3 ] || die "--follow did not"
wait $server || true
