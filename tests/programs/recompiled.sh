#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# recompiled.sh CORE: two processes of a program that was compiled with grpc_wrap.h. Their calls are
# joined by trace context, each by one other; without the option none is.
set -eu
core=$1
. "$(dirname "$0")/lib.sh"

talk() { # talk CALLS QUEUE
	: >"$dir/port"
	DUMP=$dir/server.jsonl "$core" serve "$1" >"$dir/port" &
	server=$!
	port_of "$dir/port"
	DUMP=$dir/client.jsonl seven "$core" call "$port" "$1" "$2"
	code=0
	wait $server || code=$?
	[ $code -eq 7 ] || die "the server: exit status $code"
	for side in server client; do
		[ "$(calls "$dir/$side.jsonl" $side /programs.Core/Say)" -eq "$1" ] ||
			die "$side: not $1 calls"
		[ "$(grep -c '"status":6,' "$dir/$side.jsonl")" -eq "$1" ] || die "$side: a status"
	done
}

contexts() { # contexts FILE: one a line, sorted
	grep -o '"trace_id":"[0-9a-f]*","span_id":"[0-9a-f]*"' "$1" | sort || true
}

for queue in next pluck; do
	TRACEPARENT=1 talk 1000 $queue
	contexts "$dir/server.jsonl" >"$dir/server"
	contexts "$dir/client.jsonl" >"$dir/client"
	cmp "$dir/server" "$dir/client" || die "$queue: contexts that do not join"
	[ "$(uniq "$dir/server" | wc -l)" -eq 1000 ] || die "$queue: not 1000 contexts"
	talk 100 $queue
	[ -z "$(contexts "$dir/server.jsonl")$(contexts "$dir/client.jsonl")" ] ||
		die "$queue: a context that nobody asked for"
done
