#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# greeter_test.sh SERVER CLIENT DIRECTORY: the two talk, recording goes on and off under way.
set -eu
server=$1 client=$2 dir=$3
mkdir -p "$dir"
rm -f "$dir"/server.* "$dir"/client.*
touch "$dir/client.out"

"$server" --address 127.0.0.1:0 --seconds 60 --dump "$dir/server.jsonl" \
	--profile "$dir/server.pb.gz" >"$dir/server.out" &
server_pid=$!
client_pid=
trap 'kill $server_pid $client_pid 2>/dev/null || true' EXIT

port=
for _ in $(seq 100); do
	port=$(sed -n 's/^listening on port //p' "$dir/server.out")
	[ -n "$port" ] && break
	sleep 0.1
done
[ -n "$port" ] || { echo "the server did not start" >&2; exit 1; }

# Off: nothing of these may be seen.
"$client" --address "127.0.0.1:$port" --calls 50 >/dev/null

"$client" --address "127.0.0.1:$port" --seconds 60 --outstanding 4 \
	--dump "$dir/client.jsonl" --profile "$dir/client.pb.gz" >"$dir/client.out" &
client_pid=$!
for _ in $(seq 100); do
	grep -q '^calling ' "$dir/client.out" && break
	sleep 0.1
done
sleep 0.5
kill -USR1 $server_pid $client_pid
sleep 1
kill -USR2 $server_pid $client_pid
sleep 0.2
kill $client_pid
wait $client_pid
client_pid=
kill $server_pid
wait $server_pid
trap - EXIT

cat "$dir/client.out" "$dir/server.out"
for stage in /recv/message /decode /handler /encode /send/status; do
	grep -q "$stage" "$dir/server.jsonl" || { echo "no $stage" >&2; exit 1; }
done
for stage in /create /encode /send/message /recv/header /recv/message /recv/status /decode; do
	grep -q "$stage" "$dir/client.jsonl" || { echo "no $stage" >&2; exit 1; }
done
# The profiles, as go tool pprof reads them, hold exactly the calls made, by method and side.
go=
for found in /usr/lib/go-*/bin/go "$(command -v go || true)"; do
	[ -x "$found" ] && "$found" tool -n pprof >/dev/null 2>&1 && { go=$found; break; }
done
[ -n "$go" ] || { echo "no 'go tool pprof' (Debian: apt-get install golang-go)" >&2; exit 1; }
for side in server client; do
	recorded=$(sed -n 's/^\([0-9]*\) calls recorded.*/\1/p' "$dir/$side.out")
	PPROF_TMPDIR="$dir" "$go" tool pprof -top -sample_index=calls "$dir/$side.pb.gz" \
		>"$dir/$side.top" 2>/dev/null
	unaggregated=$(sed -n 's/^unaggregated: //p' "$dir/$side.top")
	for name in "$side" /greeter.Greeter/SayHello; do
		# flat flat% sum% cum cum% name
		calls=$(awk -v name="$name" '$6 == name { print $4 }' "$dir/$side.top")
		[ "$((calls + unaggregated))" -eq "$recorded" ] || {
			echo "$side: pprof has $calls calls of $name, $recorded were recorded" >&2
			cat "$dir/$side.top" >&2
			exit 1
		}
	done
	echo "$side: $recorded calls recorded, as many in go tool pprof"
done
