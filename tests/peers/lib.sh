# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of peers, with $source and $dir set.
set -eu
peers=$source/tests/peers

die() {
	echo "FAILED: $*" >&2
	exit 1
}

# Stubs of both services, made by protoc's own plugin, in $dir/stubs.
make_stubs() {
	python=/usr/bin/python3
	"$python" -c 'import grpc, google.protobuf' 2>/dev/null && command -v grpc_python_plugin >/dev/null ||
		die "no gRPC for $python (Debian: apt-get install python3-grpcio python3-protobuf" \
			"protobuf-compiler protobuf-compiler-grpc), or configure with -DRPCPROF_TEST_PYTHON=OFF"
	mkdir -p "$dir/stubs"
	protoc --proto_path="$source/proto" --python_out="$dir/stubs" --grpc_out="$dir/stubs" \
		--plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" \
		rpcprof/v1/profiling.proto grpc_go_profiling.proto
	export PYTHONPATH="$dir/stubs" PYTHONDONTWRITEBYTECODE=1
}

# await PATTERN FILE: what follows PATTERN in the first line of the file that begins with it
await() {
	for _ in $(seq 100); do
		found=$(sed -n "s/^$1 *//p" "$2" | head -n 1)
		[ -z "$found" ] || { echo "$found"; return; }
		sleep 0.1
	done
	cat "$2" >&2
	die "nothing began with '$1' in $2 within 10 s"
}
