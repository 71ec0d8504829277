# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of the command: $rpcprof, files in the current folder, and expect().
export LC_ALL=C
unset NO_COLOR
rpcprof=$1 failures=0
source=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
"$2" "$dir" || exit 1
cd "$dir" || exit 1
export XDG_RUNTIME_DIR="$dir" # no process of this machine is meant
chmod 700 "$dir"

fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# run CODE ARGUMENT...: runs the command; out and err hold what it said
run() {
	code=$1
	shift
	"$rpcprof" "$@" >out 2>err </dev/null
	got=$?
	[ $got -eq "$code" ] || {
		fail "rpcprof $*: exit code $got, not $code"
		cat out err
	}
}

# shows FILE TEXT: the file has TEXT in a line, blanks squeezed
shows() {
	tr -s ' ' <"$1" | grep -qF -- "$2" || {
		fail "no \"$2\" in $1 of the last command:"
		cat "$1"
	}
}

lacks() {
	tr -s ' ' <"$1" | grep -qF -- "$2" && {
		fail "\"$2\" in $1 of the last command:"
		cat "$1"
	}
}

finish() {
	[ $failures -eq 0 ] || echo "$failures failures"
	exit $((failures != 0))
}
