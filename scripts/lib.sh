# SPDX-License-Identifier: Apache-2.0
# What the scripts share. Sourced, not run: cd to the top of the tree, then work below build/.
set -eu

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# run_quietly LOG COMMAND...: its output goes to LOG, and to the terminal only if it fails.
run_quietly() {
	log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 && return
	status=$?
	cat "$log" >&2
	say "failed: $* (log: $log)" >&2
	return $status
}

# build PRESET [TARGET]: configures and builds it, or that part of it, in build/PRESET.
build() {
	run_quietly "build/$1/configure.log" cmake --preset "$1" &&
		run_quietly "build/$1/build.log" cmake --build --preset "$1" ${2:+--target "$2"}
}

# The sanitizers of Debian 12 do not know address spaces as random as newer kernels make them:
# what is built with one is started by $launch.
launch=
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ]; then
	launch="setarch -R"
fi

cd "$(dirname "$0")/.."
