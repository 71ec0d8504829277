// SPDX-License-Identifier: Apache-2.0

package pyroscope

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rpcprof.dev/tests/peers/peer"
)

// A program that is told only by its environment where to push, with windows of a second.
type program struct {
	*exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

func command(t *testing.T, application string, args ...string) *exec.Cmd {
	run := exec.Command(args[0], args[1:]...)
	run.Dir = t.TempDir()
	run.Env = []string{"PYROSCOPE_SERVER_ADDRESS=" + url, "XDG_RUNTIME_DIR=" + run.Dir,
		"PYROSCOPE_APPLICATION_NAME=" + application, "RPCPROF_INTERVAL=1s", "RPCPROF_JITTER=1ms",
		"RPCPROF_BACKOFF_MAX=1s", "RPCPROF_STOP_TIMEOUT=20s"}
	return run
}

func prepare(t *testing.T, application string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: command(t, application, args...)}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out, p.Stderr = in, bufio.NewReader(out), &p.stderr
	return p
}

func (p *program) start(t *testing.T) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
}

func start(t *testing.T, application string, args ...string) *program {
	t.Helper()
	p := prepare(t, application, args...)
	p.start(t)
	return p
}

// What it printed last, when it has ended with the status.
func (p *program) end(t *testing.T, status int) string {
	t.Helper()
	p.in.Close()
	rest, _ := io.ReadAll(p.out)
	p.Wait()
	if code := p.ProcessState.ExitCode(); code != status {
		t.Fatalf("%v ends with %d: %s", p.Args, code, p.stderr.String())
	}
	return strings.TrimSpace(string(rest))
}

const callsType = "wall:calls:count:wall:nanoseconds"

// Calls of 200 methods, not of each as many, in 3 statuses on both sides.
func (p *program) record(t *testing.T, sent map[string]int64) {
	t.Helper()
	for i := range 200 {
		for j, status := range []int{0, 4, 14} {
			for _, side := range []string{"server", "client"} {
				method, calls := fmt.Sprintf("/shop.Cart/Method%d", i), 1+(i+j)%7
				fmt.Fprintln(p.in, side, method, status, calls)
				sent[side+";"+method] += int64(calls)
			}
		}
	}
}

const sampleTypes = 3

func expectCalls(t *testing.T, application string, sent map[string]int64) {
	t.Helper()
	compare(t, sent, callsType, fmt.Sprintf(`{service_name=%q}`, application))
	for _, side := range []string{"server", "client"} {
		of := maps.Clone(sent)
		maps.DeleteFunc(of, func(stack string, _ int64) bool {
			return !strings.HasPrefix(stack, side)
		})
		compare(t, of, callsType, fmt.Sprintf(`{service_name=%q,side=%q}`, application, side))
	}
	expectSeries(t, application, 2, 2*sampleTypes)
}

func TestAgent(t *testing.T) {
	agent, sent := start(t, "agent", peer.Program("tests/config/config_agent"), "-"),
		map[string]int64{}
	agent.record(t, sent)
	time.Sleep(2500 * time.Millisecond)
	agent.record(t, sent)
	t.Log(agent.end(t, 0))
	expectCalls(t, "agent", sent)
}

// Calls go on while the server is ended, is away, and comes back.
func TestAgentLosesNothingByARestart(t *testing.T) {
	agent, sent := start(t, "restart", peer.Program("tests/config/config_agent"), "-"),
		map[string]int64{}
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for windows := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-windows.C:
				agent.record(t, sent)
			}
		}
	}()
	time.Sleep(3 * time.Second)
	peer.Restart(t, 3*time.Second)
	time.Sleep(3 * time.Second)
	close(stop)
	<-stopped
	t.Log(agent.end(t, 0))
	expectCalls(t, "restart", sent)
}

// A server and clients that know nothing of rpcprof. They end with 7.
func TestRunLosesNothingByARestart(t *testing.T) {
	const methods, calls = 200, 1000
	core := peer.Program("tests/programs/programs_core")
	under := []string{peer.Program("rpcprof"), "run", "--", core}
	server := start(t, "run", append(under, "serve", fmt.Sprint(2*calls))...)
	port, err := server.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	call := func() {
		start(t, "run", append(under, "call", strings.TrimSpace(port), fmt.Sprint(calls), "next",
			fmt.Sprint(methods))...).end(t, 7)
	}
	call()
	peer.Restart(t, 2*time.Second)
	call()
	server.end(t, 7)
	sent := map[string]int64{}
	for i := range methods {
		sent[fmt.Sprintf("server;/programs.Core/Say%d", i)] = 2 * calls / methods
		sent[fmt.Sprintf("client;/programs.Core/Say%d", i)] = 2 * calls / methods
	}
	expectCalls(t, "run", sent)
}
