# SPDX-License-Identifier: Apache-2.0
# How servers that others wrote are built here, from Go modules. Sourced after lib.sh.

go_needed=1.26.5 go_module=golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64

# Debian 12's Go is too old for today's servers; it can fetch a newer one, a Go module itself.
newer_go() {
	version=$(go env GOVERSION)
	oldest=$(printf '%s\n' "$go_needed" "${version#go}" | sort -V | head -n 1)
	if [ "$oldest" = "$go_needed" ]; then
		command -v go
		return
	fi
	dir=$(go mod download -json "$go_module" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
	[ -n "$dir" ] || return 1
	# Modules have no executable files: give these what they have elsewhere.
	chmod -R u+w "$dir/bin" "$dir/pkg/tool" && chmod -R +x "$dir/bin" "$dir/pkg/tool" &&
		printf '%s\n' "$dir/bin/go"
}

# build_server PEER: the tool of its module, as $server. What Parca links reaches into the runtime,
# which linkers since Go 1.23 refuse unless told to.
build_server() {
	server=$PWD/build/peers/$1
	(cd "tests/peers/$1" && "$go" build -ldflags=-checklinkname=0 -o "$server" \
		"$("$go" list -f '{{.ImportPath}}' tool)") >"build/peers/$1.build.log" 2>&1
}

go=$(newer_go) || die "no Go $go_needed: $go_module cannot be had"
mkdir -p build/peers
