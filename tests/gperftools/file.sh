# SPDX-License-Identifier: Apache-2.0
# file.sh PROGRAM: go tool pprof, which reads both formats, finds the same in both: all samples, all
# time, and what each function had.
export LC_ALL=C GOTOOLCHAIN=local
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
export PPROF_TMPDIR="$dir"
status=0
"$1" "$dir/theirs" "$dir/ours" || exit 1

# rows FILE TYPE: flat and name of each row, and the total
rows() {
	go tool pprof -top -nodecount=1000 -nodefraction=0 -edgefraction=0 -sample_index="$2" \
		"$1" "$dir/$3" 2>"$dir/err" >"$dir/top" || { cat "$dir/err"; return 1; }
	sed -nE 's/^Showing nodes accounting for .* of (.*) total$/total \1/p
		s/^ *([^ ]+) +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +(burn_.*)$/\1 \2/p' "$dir/top"
}

for type in samples cpu; do
	rows "$1" $type theirs >"$dir/rows.theirs" || status=1
	rows "$1" $type ours >"$dir/rows.ours" || status=1
	cat "$dir/rows.ours"
	[ "$(wc -l <"$dir/rows.theirs")" -eq 3 ] || { echo "FAILED: not their rows:"; cat "$dir/top"; status=1; }
	diff "$dir/rows.theirs" "$dir/rows.ours" || { echo "FAILED: $type differ"; status=1; }
done
exit $status
