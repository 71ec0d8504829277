# SPDX-License-Identifier: Apache-2.0
# completion.sh RPCPROF FILES: what the shells offer; and each command and option has its manual.
. "$(dirname "$0")/lib.sh"
completion=$source/cli/completion
PATH=$(dirname "$rpcprof"):$PATH

# offers LINE: what bash offers for its last word
offers() {
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
		_rpcprof rpcprof "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		echo ${COMPREPLY[*]}' bash "$completion/rpcprof.bash" "$@"
}

# is EXPECTED LINE...: exactly that is offered
is() {
	expected=$1
	shift
	[ "$(offers "$@")" = "$expected" ] || fail "bash offers \"$(offers "$@")\" for $*"
}

is "trace" rpcprof tr
is "disable dump diff" rpcprof d
is "--last" rpcprof trace --la
is "json jsonl" rpcprof dump --format js
is "json jsonl" rpcprof dump --format = js
is "server" rpcprof report --side s
is "per-call" rpcprof diff -s p
is "load" rpcprof snapshot l
is "download delete" rpcprof autopgo d
is "ingest ingest-form" rpcprof push --protocol in
is "--token-file" rpcprof status --tok
is "" rpcprof trace cal # files are the shell's

# zsh: what _arguments and _describe would be given
zsh_offers() {
	zsh -f -c '_call_program() { shift; "$@" }
		_describe() { print -l -- ${(P)2} }
		_arguments() { print -l -- "$@" }
		words=("${@[2,-1]}") CURRENT=$(($# - 1))
		. "$1"' zsh "$completion/_rpcprof" "$@" >zsh.out 2>zsh.err
	[ -s zsh.err ] && fail "zsh: $(cat zsh.err)"
}
zsh_offers rpcprof ""
grep -qx "trace:calls as a trace for Perfetto and Chrome" zsh.out || fail "zsh offers no trace"
zsh_offers rpcprof dump ""
grep -qF -- "--format=[table (default), json, jsonl or proto]:FORMAT:(table json jsonl proto)" zsh.out ||
	fail "zsh offers no --format"
grep -qF -- "--finished[Only calls that had finished]" zsh.out || fail "zsh offers no --finished"

if "$rpcprof" pull --help >out 2>err; then # built with libcurl
	is "--push-token-file" rpcprof pull --push-t
	zsh_offers rpcprof pull ""
	grep -qF -- ":PROTOCOL:(pyroscope ingest ingest-form autopgo)" zsh.out ||
		fail "zsh offers no --protocol"
fi

# Every command has a manual, which names every option; every choice that help tells is offered.
for command in $("$rpcprof" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'); do
	page=$source/docs/man/rpcprof-$command.1
	[ -e "$page" ] || { fail "no docs/man/rpcprof-$command.1"; continue; }
	man -l --warnings "$page" >page.txt 2>page.err </dev/null
	[ -s page.err ] && fail "$page: $(cat page.err)"
	grep -q "rpcprof-$command *(1)\|rpcprof-$command(1)" "$source/docs/man/rpcprof.1" ||
		grep -q "rpcprof\\\\-$command (1)" "$source/docs/man/rpcprof.1" ||
		fail "rpcprof.1 does not name rpcprof-$command"
	for option in $("$rpcprof" $command --help | grep -oE -- '--[a-z][a-z-]+' | sort -u); do
		case $option in --help | --usage | --version | --color) continue ;; esac
		grep -qE -- "^ +.*$option([^a-z-]|$)" page.txt || fail "$option is not in $page"
	done
done

finish
