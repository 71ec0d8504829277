// SPDX-License-Identifier: Apache-2.0

// pprof_write FILE: measures profile.Write on the profile in FILE, in the rounds that
// bench/process.c asks for: process CPU time per sample, the garbage collector's part included.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/google/pprof/profile"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	parsed, err := profile.Parse(file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("peer_go_pprof_write")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		var out bytes.Buffer
		begin := cpu()
		if err := parsed.Write(&out); err != nil {
			log.Fatal(err)
		}
		fmt.Println(float64(cpu()-begin) / float64(len(parsed.Sample)))
	}
}
