#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE_DIR BUILD_DIR CC CXX VERSION ALL GRPCPP LIBRARY...: installs, then builds users'
# programs against what was installed, by pkg-config and by find_package, shared and static, and runs
# them. ALL: 1 if no part was left out; GRPCPP: 1 if gRPC C++ is there.
source=$1 build=$2 cc=$3 cxx=$4 version=$5 all=$6 grpcpp=$7
shift 7
here=$source/tests/install
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix
status=0

fail() {
	echo "FAIL $1"
	head -n 20 "$dir/log"
	status=1
}

try() { # try WHAT COMMAND...
	what=$1
	shift
	"$@" >"$dir/log" 2>&1 || fail "$what"
}

files() {
	(cd "$1" && find . -type f | sort)
}

try "install" cmake --install "$build" --prefix "$prefix"
DESTDIR=$dir/dest cmake --install "$build" --prefix /usr >"$dir/log" 2>&1 || fail "install, DESTDIR"
files "$prefix" >"$dir/there"
files "$dir/dest/usr" | diff "$dir/there" - >"$dir/log" || fail "DESTDIR installs other files"
if [ "$all" = 1 ]; then
	diff -rq "$source/include/rpcprof" "$prefix/include/rpcprof" >"$dir/log" ||
		fail "a public header is not installed: name it in HEADERS of its rpcprof_library()"
fi

libdir=$(dirname "$(find "$prefix" -name librpcprof.so)")
export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"

# Every function of a library is in it: the program refers to each, and so needs all beneath.
every() { # every LIBRARY
	nm -D --defined-only "$libdir/lib$(echo "$1" | tr _ -).so" |
		awk '$2 == "T" { sub(/@.*/, "", $3); names[++n] = $3 }
		END { for (i = 1; i <= n; i++) printf "void %s(void);\n", names[i]
		      print "void (*every[])(void) = {"
		      for (i = 1; i <= n; i++) printf "\t%s,\n", names[i]
		      print "\t0\n};\n\nint main(void)\n{\n\treturn 0;\n}" }'
}

# One module by pkg-config, against the shared and the static library.
by_pkg_config() { # by_pkg_config MODULE SOURCE
	shared=$(pkg-config --cflags --libs "$1") &&
		try "$1, shared" "$cc" "$2" -o "$dir/program" $shared && try "$1, shared" "$dir/program"
	static=$(pkg-config --static --cflags --libs "$1" |
		sed 's/-l\(rpcprof[-a-z]*\)/-l:lib\1.a/g') &&
		try "$1, static" "$cc" "$2" -o "$dir/program" $static &&
		try "$1, static" env -u LD_LIBRARY_PATH "$dir/program"
}

[ "$(pkg-config --modversion rpcprof)" = "$version" ] || fail "pkg-config: version"
by_pkg_config rpcprof "$here/app.c"
try "wholly static" "$cc" -static "$here/app.c" -o "$dir/program" \
	$(pkg-config --static --cflags --libs rpcprof)
try "wholly static" "$dir/program"
for library; do
	every "$library" >"$dir/$library.c"
	by_pkg_config "$(echo "$library" | tr _ -)" "$dir/$library.c"
done

# C++17: every header that was installed, and the recording that app.c does.
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"
(cd "$prefix/include" && printf '#include <%s>\n' rpcprof/*.h rpcprof/rpcprof.hpp) >"$dir/all.cc"
echo "#include \"$here/app.c\"" >>"$dir/all.cc"
try "C++17" "$cxx" -std=c++17 $warnings "$dir/all.cc" \
	-o "$dir/program" $(pkg-config --cflags --libs rpcprof)
try "C++17" "$dir/program"
if [ "$grpcpp" = 1 ]; then
	try "rpcprof-grpcpp" "$cxx" -std=c++17 $warnings "$here/grpcpp.cc" -o "$dir/program" \
		$(pkg-config --cflags --libs rpcprof-grpcpp)
	try "rpcprof-grpcpp" "$dir/program"
fi

try "find_package" cmake -G Ninja -S "$here/project" -B "$dir/user" -DCMAKE_PREFIX_PATH="$prefix" \
	-DCMAKE_C_COMPILER="$cc" -DVERSION="$version" -DCOMPONENTS="$(echo "$@" | tr ' ' ';')" \
	-DFILES="$dir" -DAPP="$here/app.c" -DGRPCPP="$grpcpp" -DCMAKE_CXX_COMPILER="$cxx"
try "find_package: build" ninja -C "$dir/user"
try "find_package: run" env -u LD_LIBRARY_PATH ctest --test-dir "$dir/user" --output-on-failure
exit $status
