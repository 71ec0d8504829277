// SPDX-License-Identifier: Apache-2.0

// Laid over google.golang.org/grpc/internal/profiling by bench/peers/build: measures what gRPC-Go's
// own per-RPC profiling costs, in the rounds that bench/process.c asks for: process CPU time per
// operation, the garbage collector's part included.
package profiling

import (
	"bufio"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

const capacity, count = 4096, 20000

func cpu(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func rpc8() {
	stat := NewStat("server")
	for i := 0; i < 8; i++ {
		stat.NewTimer("/stage").Egress()
	}
	StreamStats.Push(stat)
}

func push(stat *Stat) func() {
	return func() { StreamStats.Push(stat) }
}

func TestServe(t *testing.T) {
	if err := InitStats(capacity); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(){
		"peer_grpcgo_rpc8": rpc8,
		"peer_grpcgo_push": push(NewStat("server")),
	}
	fmt.Println("peer_grpcgo_rpc8 peer_grpcgo_push")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		run := cases[asked.Text()]
		begin := cpu(t)
		for i := 0; i < count; i++ {
			run()
		}
		fmt.Println(float64(cpu(t)-begin) / count)
	}
}
