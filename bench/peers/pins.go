//go:build pins

// SPDX-License-Identifier: Apache-2.0

// Names what peers/build copies, so that go.mod keeps its version.
package main

import _ "google.golang.org/grpc"
