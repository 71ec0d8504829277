# SPDX-License-Identifier: Apache-2.0
# go.sh RPCPROF FILES: real `go tool pprof` reads what we write, values and names exactly.
# Debian's Go and the one on PATH, where both are there; without any, the test fails.
. "$(dirname "$0")/lib.sh"
# HOME stays: newer Gos build pprof when it is first used and keep it in their cache.
export PPROF_TMPDIR="$dir" GOTOOLCHAIN=local

# row FILE TYPE FLAT CUM NAME: -top has this row for the sample type
row() {
	profile=$1 type=$2 flat=$3 cum=$4 name=$5
	unit=
	[ "$type" = wall ] && unit=-unit=nanoseconds
	"$go" tool pprof $unit -top -sample_index="$type" "$profile" >out 2>err || {
		fail "$go tool pprof: exit code $?"
		cat err
	}
	# flat flat% sum% cum cum% name
	sed -E 's/^ *([^ ]+) +[^ ]+ +[^ ]+ +([^ ]+) +[^ ]+ +(.*)$/\1 \2 \3/' out >rows
	grep -qxF -- "$flat $cum $name" rows || {
		fail "$go, $profile, $type: no row $flat $cum $name:"
		cat out
	}
	grep -q "filename not available\|[Ee]rror\|malformed" err && {
		fail "$go, $profile: a warning:"
		cat err
	}
}

"$rpcprof" merge -o merged.pb.gz old.pb.gz new.pb.gz || fail merge
"$rpcprof" diff -o diff.pb.gz old.pb.gz new.pb.gz || fail diff

tried=
for go in /usr/lib/go-1.19/bin/go /usr/lib/go/bin/go "$(command -v go)"; do
	[ -x "$go" ] || continue
	case " $tried " in *" $(readlink -f "$go") "*) continue ;; esac
	tried="$tried $(readlink -f "$go")"
	"$go" version
	row old.pb.gz calls 10 10 /shop.Cart/Get
	row old.pb.gz calls 10 10 '/shop.Cart/Put<T>(int)'
	row old.pb.gz calls 10 10 /shop::v2.Cart/List
	row old.pb.gz calls 0 30 server
	row old.pb.gz stages 60 60 /decode
	row old.pb.gz wall 1500000ns 1500000ns /decode
	row old.pb.gz wall 2250000ns 3000000ns /shop::v2.Cart/List
	grep -q "^Type: wall" out || fail "$go: the type"
	row merged.pb.gz calls 0 120 server
	row merged.pb.gz wall 15750000ns 21000000ns /shop::v2.Cart/List
	grep -q "^Duration: 20s" out || fail "$go: the duration of the merged profile"
	row diff.pb.gz calls 20 20 /shop.Cart/Get
	row block.pb.gz contentions 10000 10000 /queue
	row block.pb.gz delay 100ms 100ms /queue
	row block.pb.gz delay 0 100ms /plain.Service/Method
	grep -q "^Type: delay" out || fail "$go: the type of block"
	row mutex.pb.gz contentions 500 500 /lock/cart
	row mutex.pb.gz contentions 100 100 /lock/pool
	row mutex.pb.gz delay 1.50ms 1.50ms /lock/cart
	"$go" tool pprof -tags old.pb.gz 2>/dev/null | grep -q blue || fail "$go: the labels"
	"$go" tool pprof -comments old.pb.gz 2>/dev/null | grep -q "0 calls unaggregated" ||
		fail "$go: the comment"
	"$go" tool pprof -raw old.pb.gz 2>/dev/null | grep -q "PeriodType: wall nanoseconds" ||
		fail "$go: the period type"
done
[ -n "$tried" ] || fail "no go command: apt-get install golang-go, or configure with" \
	"-DRPCPROF_TEST_GO=OFF to leave out the check that go tool pprof reads our profiles"
finish
