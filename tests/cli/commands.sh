# SPDX-License-Identifier: Apache-2.0
# commands.sh RPCPROF FILES: what each subcommand says of good files.
. "$(dirname "$0")/lib.sh"

run 0 --version
major=$(sed -n 's/.*RPCPROF_VERSION_MAJOR //p' "$source/include/rpcprof/version.h")
shows out "rpcprof $major."
run 0 --help
for command in top dump trace flame report convert snapshot merge diff; do
	shows out " $command "
	"$rpcprof" $command --help | grep -q "Usage: rpcprof $command " || fail "$command --help"
	"$rpcprof" $command --version | grep -q "^rpcprof [0-9]" || fail "$command --version"
done

# top of a profile: /decode ran twice per call and took a quarter of its time
run 0 top old.pb.gz
shows out "30 calls, 6.000 ms in all"
shows out "10 3.000 ms 50.0 % 300.000 us server /shop::v2.Cart/List"
shows out "20 750.000 us 12.5 % 37.500 us /decode"
[ "$(grep -c /shop out)" -eq 3 ] || fail "top shows $(grep -c /shop out) methods"
grep /shop out | head -1 | grep -q List || fail "top is not sorted by total"
run 0 top -n 1 --sort name old.pb.gz
shows out "server /shop.Cart/Get"
lacks out "List"
run 0 top other.pb.gz
shows out "3.000 us 75.0 % 3.000 us 75.0 % 3 leaf"
shows out "1.000 us 25.0 % 4.000 us 100.0 % 4 main"

# top of dumps: exact percentiles; 1..99 us
for dump in calls.json calls.jsonl; do
	run 0 top $dump
	shows out "100 calls, 5.450 ms in all"
	shows out "99 4.950 ms 90.8 % 50.000 us 50.000 us 99.000 us 99.000 us server /shop.Cart/Get"
	shows out "1 250.000 us 4.6 % 250.000 us 250.000 us 250.000 us 250.000 us /decode"
done
run 0 top --sort max -n 1 calls.json
shows out "/shop.Cart/Put"
lacks out "/shop.Cart/Get"
gzip -k calls.json
run 2 top - # standard input is empty
"$rpcprof" top - <calls.json.gz | grep -q "100 calls" || fail "top of gzipped standard input"

# dump: the table that the library writes; any form gives any other
"$rpcprof" dump calls.jsonl | cmp - calls.txt || fail "the table is not the library's"
# A dump after a blank line was shown without its header, whose version nobody had looked at.
{ echo; cat calls.jsonl; } >blank.jsonl
"$rpcprof" dump blank.jsonl | cmp - calls.txt || fail "a blank line first"
"$rpcprof" dump -f json calls.jsonl | cmp - calls.json || fail "jsonl to json"
"$rpcprof" dump -f jsonl calls.json | cmp - calls.jsonl || fail "json to jsonl"
count() { "$rpcprof" dump "$@" calls.json -f jsonl | grep -c '^{"call"'; }
[ "$(count)" -eq 101 ] || fail "all"
[ "$(count --last 7)" -eq 7 ] || fail "--last"
[ "$(count --side client)" -eq 1 ] || fail "--side"
[ "$(count --in-flight)" -eq 1 ] || fail "--in-flight"
[ "$(count --finished)" -eq 100 ] || fail "--finished"
[ "$(count --method /shop.Cart/Put)" -eq 1 ] || fail "--method"
[ "$(count --status UNAVAILABLE)" -eq 1 ] || fail "--status by name"
[ "$(count --status 0)" -eq 99 ] || fail "--status by number"
[ "$(count --min-duration 91us --method /shop.Cart/Get)" -eq 9 ] || fail "--min-duration"
run 0 dump --last 1 --finished calls.json
shows out "500.000 us UNAVAILABLE /shop.Cart/Put"
run 0 dump --colour always calls.json
grep -q "$(printf '\033')" out || fail "--colour always"
run 0 dump calls.json
grep -q "$(printf '\033')" out && fail "colours in a file"
run 0 dump --last 1 old.pb.gz
shows out "# 0 calls unaggregated"
shows out "0 20 750000 server;/shop::v2.Cart/List;/decode {side=server, tenant=blue}"

# convert: forms that can be read back say the same; the others are what their commands make
for form in json jsonl proto; do
	for from in calls.json calls.jsonl calls.dump; do
		[ -e calls.dump ] || "$rpcprof" dump -f proto calls.json >calls.dump
		run 0 convert -f $form -o again.$form $from
		"$rpcprof" dump -f jsonl again.$form | cmp - calls.jsonl || fail "$from to $form"
	done
done
gzip -kf calls.dump
run 0 snapshot load --last 1 --finished calls.dump.gz
shows out "500.000 us UNAVAILABLE /shop.Cart/Put"
run 0 convert -o calls.pb.gz --finished calls.dump
run 0 top calls.pb.gz
shows out "100 calls, 5.450 ms in all"
shows out "99 2.475 ms 45.4 % 25.000 us /decode"
run 0 convert -o pairs.again.pb.gz pairs.jsonl
samples() { "$rpcprof" dump "$1" | grep -v '^#' | sort; }
samples pairs.pb.gz >samples
samples pairs.again.pb.gz | cmp - samples || fail "the profile of a dump is not the exporter's"
run 0 convert -o made.trace calls.jsonl
"$rpcprof" trace calls.jsonl | cmp - made.trace || fail "convert to a trace"
for form in folded svg; do
	run 0 convert -o made.$form pairs.jsonl
	"$rpcprof" flame -f $form pairs.jsonl | cmp - made.$form || fail "convert to $form"
done
run 0 convert -f html -o made.page pairs.jsonl
"$rpcprof" report pairs.jsonl | cmp - made.page || fail "convert to a page"
run 0 convert -o made.txt calls.json
cmp made.txt calls.txt || fail "convert to a table"

# merge: values add up, the output is new and readable as umask says
(umask 027; "$rpcprof" merge -o merged.pb.gz old.pb.gz new.pb.gz old.pb.gz) || fail merge
[ "$(stat -c %a merged.pb.gz)" = 640 ] || fail "rights of merged.pb.gz"
run 0 top merged.pb.gz
shows out "150 calls, 48.000 ms in all"
run 0 dump merged.pb.gz
shows out "for 30000000000 ns; 6 samples"
"$rpcprof" merge -o - old.pb.gz | "$rpcprof" top - | grep -q "30 calls" || fail "merge -o -"
ls | grep 'merged.pb.gz\.' && fail "a temporary file was left"

# diff: three times the calls, each twice as long
run 0 diff old.pb.gz new.pb.gz
shows out "old: 30 calls, 6.000 ms in all; new: 90, 36.000 ms"
shows out "3.000 ms 18.000 ms +15.000 ms 50.0 % 50.0 % 300.000 us 600.000 us +100.0 % server /shop::v2.Cart/List"
shows out "750.000 us 4.500 ms +3.750 ms 12.5 % 12.5 % 37.500 us 75.000 us +100.0 % /decode"
run 0 diff -n 1 --sort per-call old.pb.gz new.pb.gz
[ "$(grep -c /shop out)" -eq 1 ] || fail "diff -n"
run 0 diff calls.json calls.jsonl
shows out "50.000 us 50.000 us +0.0 % server /shop.Cart/Get"
run 0 diff -o diff.pb.gz old.pb.gz new.pb.gz
run 0 dump diff.pb.gz
shows out "-10 0 -2250000 server;/shop::v2.Cart/List {side=server, tenant=blue, pprof::base=true}"

finish
