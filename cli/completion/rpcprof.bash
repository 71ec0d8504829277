# SPDX-License-Identifier: Apache-2.0
# Completes rpcprof in bash. Commands and options are those that the command's own help tells.

_rpcprof()
{
	local program=$1 word=$2 previous=$3 command=${COMP_WORDS[1]} words=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')
		COMPREPLY=($(compgen -W "$words --help --version" -- "$word"))
		return
	fi
	# "--format=js" is three words to bash.
	[ "$word" = = ] && word=
	[ "$previous" = = ] && previous=${COMP_WORDS[COMP_CWORD - 2]}
	case "$command $previous" in
	"dump -f" | "dump --format") words="table json jsonl proto" ;;
	"flame -f" | "flame --format") words="svg folded" ;;
	"convert -f" | "convert --format") words="table json jsonl proto pprof trace folded svg html" ;;
	"top -s" | "top --sort") words="total share self calls mean name p50 p90 p99 max" ;;
	"diff -s" | "diff --sort") words="total share per-call name" ;;
	*" --protocol") words="pyroscope ingest ingest-form autopgo" ;;
	*" --side") words="server client" ;;
	*" --status") words="OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND
		ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED
		OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED" ;;
	*" --colour" | *" --color") words="auto always never" ;;
	esac
	if [ -z "$words" ] && [ "$command $COMP_CWORD" = "snapshot 2" ]; then
		words="save load"
	elif [ -z "$words" ] && [ "$command $COMP_CWORD" = "autopgo 2" ]; then
		words="list download delete"
	elif [ -z "$words" ]; then
		case $word in
		-*) words=$("$program" "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u) ;;
		*) return ;; # a file, by "-o default"
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _rpcprof rpcprof
