# SPDX-License-Identifier: Apache-2.0
# grpcgo.sh SOURCE CLIENT DIRECTORY SERVER...: the profiling command of grpc-go, as its authors wrote
# it, against a server of ours: it switches recording on and off, and takes the calls; what it then
# draws is compared call by call with our own dump.
source=$1 client=$2 dir=$3
shift 3
. "$(dirname "$0")/lib.sh"
mkdir -p "$dir"
rm -f "$dir"/server.out "$dir"/*.json "$dir"/snapshot
make_stubs

go=
for found in /usr/lib/go-*/bin/go "$(command -v go || true)"; do
	[ -x "$found" ] && { go=$found; break; }
done
[ -n "$go" ] || die "no go (Debian: apt-get install golang-go), or configure with" \
	"-DRPCPROF_TEST_GRPC_GO=OFF"
(cd "$peers/grpcgo_cmd" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly "$go" build -o "$dir/cmd" \
	google.golang.org/grpc/profiling/cmd) ||
	die "grpc-go's command does not build: are its modules to be had?" \
		"Configure with -DRPCPROF_TEST_GRPC_GO=OFF to leave it out"

"$@" >"$dir/server.out" &
server_pid=$!
trap 'kill $server_pid 2>/dev/null || true' EXIT
address=127.0.0.1:$(await "listening on port" "$dir/server.out")

# profiling ARGUMENT...: it must succeed
profiling() {
	GRPC_GO_LOG_SEVERITY_LEVEL=info timeout 60 "$dir/cmd" "$@" >"$dir/cmd.out" 2>&1 || {
		cat "$dir/cmd.out" >&2
		die "grpc-go's command $*: exit code $?"
	}
}

"$client" --address "$address" --calls 20 >/dev/null # not recorded: it is off
profiling -address "$address" -enable-profiling
grep -q "successfully set enabled = true" "$dir/cmd.out" || die "enable: $(cat "$dir/cmd.out")"
"$client" --address "$address" --calls 500 >/dev/null
profiling -address "$address" -disable-profiling
"$client" --address "$address" --calls 20 >/dev/null
"$python" "$peers/compare.py" save "$address" "$dir/ours.json"
profiling -address "$address" -retrieve-snapshot -snapshot "$dir/snapshot"
profiling -snapshot "$dir/snapshot" -stream-stats-catapult-json "$dir/theirs.json"
"$python" "$peers/compare.py" compare "$dir/ours.json" "$dir/theirs.json" 400

# One after the other without a pause, while there are calls to take.
profiling -address "$address" -enable-profiling
"$client" --address "$address" --calls 5000 >/dev/null &
client_pid=$!
for i in 1 2 3 4 5 6 7 8 9 10; do
	profiling -address "$address" -retrieve-snapshot -snapshot "$dir/snapshot"
done
wait $client_pid
profiling -address "$address" -disable-profiling
profiling -address "$address" -retrieve-snapshot -snapshot "$dir/snapshot"

# Once more, with nothing left: no panic, and nothing to draw.
profiling -address "$address" -retrieve-snapshot -snapshot "$dir/snapshot"
profiling -snapshot "$dir/snapshot" -stream-stats-catapult-json "$dir/none.json"
[ "$(cat "$dir/none.json")" = null ] || die "$(cat "$dir/none.json")"
kill $server_pid
trap - EXIT
wait $server_pid || die "the server ended with $?"
