// SPDX-License-Identifier: Apache-2.0

// Package peer is what the tests against servers share. Environment: PEER_SERVER, the server's
// program; PEER_BUILD, the directory where rpcprof was built with its tests.
package peer

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func FreePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// Program of rpcprof's build: "rpcprof", "tests/push/peer_push".
func Program(name string) string {
	return filepath.Join(os.Getenv("PEER_BUILD"), name)
}

var (
	server      *exec.Cmd
	startServer func() bool
)

// start starts the server on what dir holds; whether it became ready.
func start(dir string, args []string, isReady func() bool) bool {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer log.Close()
	server = exec.Command(os.Getenv("PEER_SERVER"), args...)
	server.Dir = dir
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		panic(err)
	}
	for range 600 {
		if isReady() {
			return true
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// Run starts the server in a directory of its own, runs the tests when it is ready, and ends.
func Run(m *testing.M, isReady func() bool, args func(dir string) []string) {
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		panic(err)
	}
	startServer = func() bool { return start(dir, args(dir), isReady) }
	code := 1
	if startServer() {
		code = m.Run()
	}
	server.Process.Kill()
	server.Wait()
	if code != 0 {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		fmt.Fprintf(os.Stderr, "%s", log[max(0, len(log)-4000):])
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// Restart ends the server as its operator does, and starts it again when it was away for a while.
func Restart(t *testing.T, away time.Duration) {
	t.Helper()
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Fatalf("the server does not end well: %v", err)
	}
	time.Sleep(away)
	StartAgain(t)
}

// Kill ends the server with no moment left to it.
func Kill() {
	server.Process.Kill()
	server.Wait()
}

// StartAgain is for after a Kill.
func StartAgain(t *testing.T) {
	t.Helper()
	if !startServer() {
		t.Fatal("the server does not come back")
	}
}

// Push runs the program; the counters that it printed.
func Push(t *testing.T, args ...string) map[string]string {
	t.Helper()
	return Start(t, args...)()
}

// Start is Push whose result can be waited for.
func Start(t *testing.T, args ...string) func() map[string]string {
	t.Helper()
	var out strings.Builder
	push := exec.Command(Program("tests/push/peer_push"), args...)
	push.Stdout, push.Stderr = &out, &out
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	return func() map[string]string {
		t.Helper()
		if err := push.Wait(); err != nil {
			t.Fatalf("push %v: %v\n%s", args, err, out.String())
		}
		said := map[string]string{}
		for line := range strings.Lines(out.String()) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			said[name] = value
		}
		return said
	}
}

func Expect(t *testing.T, said map[string]string, wanted map[string]string) {
	t.Helper()
	for name, value := range wanted {
		if said[name] != value {
			t.Fatalf("%s is %q, not %q: %v", name, said[name], value, said)
		}
	}
}

// Stacks are the values of one type by stack, root first.
func Stacks(p *profile.Profile, index int) map[string]int64 {
	sums := map[string]int64{}
	for _, sample := range p.Sample {
		frames := make([]string, len(sample.Location))
		for i, location := range sample.Location {
			frames[len(frames)-1-i] = location.Line[0].Function.Name
		}
		if sample.Value[index] != 0 {
			sums[strings.Join(frames, ";")] += sample.Value[index]
		}
	}
	return sums
}

// Await waits until what is stored has become what was sent.
func Await(t *testing.T, what string, sent map[string]int64, stored func() map[string]int64) {
	t.Helper()
	var got map[string]int64
	for range 100 {
		got = stored()
		if maps.Equal(got, sent) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s: stored %d stacks, not the %d that were sent", what, len(got), len(sent))
}

// Merged is all that the program wrote to a directory.
func Merged(t *testing.T, dir string) *profile.Profile {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.pb.gz"))
	var profiles []*profile.Profile
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		profiles = append(profiles, p)
	}
	all, err := profile.Merge(profiles)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
