#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE_DIR COMPILER: every way to link the library gives a process one switch. Linkers
# bfd, gold, lld x LTO or not x static or shared library x PIE or not, each with a linked and an
# opened object beside.
source=$1 cc=$2
here=$source/tests/link
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
linkers="bfd gold lld"
passed=0 failed=0

need() { # need PROGRAM PACKAGE
	command -v "$1" >/dev/null && return
	echo "$1 is missing (Debian: apt-get install $2); scripts/install-deps test gets all"
	exit 1
}
need "$cc" "${cc%%[+-]*}"
need ld.gold binutils
need ld.lld lld

# library LTO_FLAGS: the libraries as the project builds them, in $dir/LINKER, static in $dir/static
library() {
	for linker in $linkers symbolic; do
		link=-fuse-ld=$linker
		[ "$linker" = symbolic ] && link="-fuse-ld=bfd -Wl,-Bsymbolic"
		cmake -G Ninja -S "$source" -B "$dir/build" -DCMAKE_C_COMPILER="$cc" \
			-DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="$1" \
			-DCMAKE_SHARED_LINKER_FLAGS="$link" -DRPCPROF_EXPORT=OFF -DRPCPROF_GRPC=OFF \
			-DRPCPROF_TESTS=OFF -DRPCPROF_BENCH=OFF -DRPCPROF_EXAMPLES=OFF &&
			ninja -C "$dir/build" || return 1
		rm -rf "$dir/$linker" "$dir/static"
		mkdir "$dir/$linker" "$dir/static"
		cp -a "$dir"/build/librpcprof.so* "$dir/$linker/"
		cp "$dir/build/librpcprof.a" "$dir/static/"
	done >"$dir/log" 2>&1
}

# plugin NAME FLAGS...: an object whose functions are NAME_enabled and NAME_page
plugin() {
	name=$1
	shift
	"$cc" $flags -fPIC -shared -DPLUGIN_ENABLED="${name}_enabled" -DPLUGIN_PAGE="${name}_page" \
		"$here/plugin.c" -o "$dir/$name.so" "$@"
}

# program LIBRARY...: the three objects, linked by $linker and run. A static library is in the
# program only; the other objects find it there.
program() {
	case $1 in
	*.a) plugin linked && plugin opened ;;
	*) plugin linked "$@" && plugin opened "$@" ;;
	esac &&
		"$cc" $flags $pie "$here/main.c" "$dir/linked.so" -o "$dir/main" "$@" \
			-Wl,--export-dynamic -Wl,-rpath,"$dir" && "$dir/main" "$dir/opened.so"
}

try() { # try LABEL LIBRARY_FLAGS...
	label=$1
	shift
	if program "$@" >"$dir/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $cc $lto $pie $linker $label"
		head -n 5 "$dir/log"
	fi
}

case $cc in
*clang*) lto_flags="-flto" ;;
*) lto_flags="-flto=auto -ffat-lto-objects" ;; # fat: lld reads no gcc bytecode
esac
for lto in "" "$lto_flags"; do
	library "$lto" || { cat "$dir/log"; exit 1; }
	for linker in $linkers; do
		for pie in "-fPIE -pie" "-fno-PIE -no-pie"; do
			flags="-std=gnu11 -O2 $lto -fuse-ld=$linker -D_GNU_SOURCE -I$source/include"
			try static "$dir/static/librpcprof.a"
			try shared "$dir/$linker/librpcprof.so" -Wl,-rpath,"$dir/$linker"
		done
	done
done
echo "$cc: $passed of $((passed + failed)) ways to link have one switch"

# What must never be: the check has to notice it.
program "$dir/symbolic/librpcprof.so" -Wl,-rpath,"$dir/symbolic" >"$dir/log" 2>&1
if ! grep -q "wrong in the library" "$dir/log"; then
	echo "FAIL a library linked -Bsymbolic went unnoticed"
	failed=1
fi
[ "$failed" -eq 0 ]
