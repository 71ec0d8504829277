// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools names the command, so that go.mod and go.sum have what it needs.
package tools

import _ "google.golang.org/grpc/profiling/cmd"
