// SPDX-License-Identifier: Apache-2.0

package pyroscope

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	toxics "github.com/Shopify/toxiproxy/v2/client"
	"rpcprof.dev/tests/peers/peer"
)

// flush has the server write what it holds in memory alone, as after a while it does.
func flush(t *testing.T) {
	t.Helper()
	response, err := http.Post(url+"/ingester.v1.IngesterService/Flush", "application/json",
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}

// withoutFirst is what the program wrote to a directory but for its first window.
func withoutFirst(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.pb.gz"))
	slices.Sort(names)
	if len(names) < 3 {
		t.Fatalf("%d windows are too few", len(names))
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	return peer.Stacks(peer.Merged(t, dir), 0)
}

// The server is killed while a window is on its way, of which nobody can then say whether it
// arrived: that one is counted as such and not sent again. All others are there, once.
func TestAgentKnowsWhatAKillMayHaveLost(t *testing.T) {
	proxy, through := newProxy(t)
	before, sent := start(t, "before", peer.Program("tests/config/config_agent"), "-"),
		map[string]int64{}
	before.record(t, sent)
	before.end(t, 0)
	expectCalls(t, "before", sent)
	flush(t)
	// What is sent takes 3 s to the server.
	if _, err := proxy.AddToxic("", "latency", "upstream", 1,
		toxics.Attributes{"latency": 3000}); err != nil {
		t.Fatal(err)
	}
	windows := t.TempDir()
	agent := prepare(t, "killed", peer.Program("tests/config/config_agent"), "-")
	agent.Env = append(agent.Env, "PYROSCOPE_SERVER_ADDRESS="+through, "RPCPROF_DIRECTORY="+windows)
	agent.start(t)
	calls := map[string]int64{}
	agent.record(t, calls)
	time.Sleep(2 * time.Second)
	peer.Kill()
	proxy.Disable()
	agent.record(t, calls)
	time.Sleep(2 * time.Second)
	agent.record(t, calls)
	peer.StartAgain(t)
	if err := proxy.RemoveToxic("latency_upstream"); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Enable(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	agent.record(t, calls)
	said := agent.end(t, 0)
	if !strings.HasSuffix(said, " uncertain 1") {
		t.Fatalf("one may have arrived, not: %s", said)
	}
	t.Log(said)
	compare(t, withoutFirst(t, windows), callsType, `{service_name="killed"}`)
	expectCalls(t, "before", sent)
}
