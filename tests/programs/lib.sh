# SPDX-License-Identifier: Apache-2.0
# Shared by the tests of this folder.
dir=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$dir"' EXIT

die() {
	echo "$*" >&2
	exit 1
}

# seven COMMAND...: its exit status is its own.
seven() {
	code=0
	"$@" || code=$?
	[ $code -eq 7 ] || die "$*: exit status $code"
}

# port_of FILE: waits until a server has written its port there.
port_of() {
	for _ in $(seq 100); do
		port=$(cat "$1")
		[ -n "$port" ] && return
		sleep 0.1
	done
	die "the server did not start"
}

# calls FILE SIDE METHOD: how many a dump has.
calls() {
	grep -c "\"side\":\"$2\",\"method\":\"$3\"" "$1" || true
}
