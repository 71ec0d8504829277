# SPDX-License-Identifier: Apache-2.0
# greeter_profiling_test.sh SERVER CLIENT RPCPROF DIRECTORY: a server in C++ is asked by the command:
# switched on and off, its last calls, a profile of a second, under calls of a client in C.
set -eu
server=$1 client=$2 rpcprof=$3 dir=$4
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

die() {
	echo "FAILED: $*" >&2
	exit 1
}

# ask COMMAND...: the command about the server, which has to succeed; what it says is in $dir/out
ask() {
	"$rpcprof" "$@" --address "$address" >out 2>&1 || die "rpcprof $*: $(cat out)"
}

shows() {
	grep -q "$1" out || die "no '$1' in $(cat out)"
}

"$server" 127.0.0.1:0 >server.out &
server_pid=$!
client_pid=
trap 'kill $server_pid $client_pid 2>/dev/null || true' EXIT
port=
for _ in $(seq 100); do
	port=$(sed -n 's/^listening on port //p' server.out)
	[ -n "$port" ] && break
	sleep 0.1
done
[ -n "$port" ] || die "the server did not start"
address=127.0.0.1:$port

"$client" --address "$address" --calls 50 >client.out # not recorded: it is off
ask status
shows "recording *off"
ask enable --for 1h
"$client" --address "$address" --calls 100 >>client.out
ask dump --format jsonl
[ "$(grep -c /greeter.Greeter/SayHello out)" -eq 100 ] || die "not 100 calls in $(cat out)"
grep -q Profiling out && die "calls of the service are recorded"
"$client" --address "$address" --seconds 60 >>client.out &
client_pid=$!
ask profile --seconds 1 -o profile.pb.gz
"$rpcprof" top profile.pb.gz >out
shows "server /greeter.Greeter/SayHello"
ask top --once
shows /handler
ask disable
kill $client_pid
wait $client_pid || true
client_pid=
kill $server_pid
trap - EXIT
wait $server_pid || die "the server ended with $?"
