// SPDX-License-Identifier: Apache-2.0

package pyroscope

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rpcprof.dev/tests/peers/peer"
)

// Everything that comes goes to the server: of a scrape each second, and of who pushes.
const alloyConfig = `
pyroscope.write "server" {
  endpoint { url = %q }
}
pyroscope.receive_http "pushed" {
  http {
    listen_address = "127.0.0.1"
    listen_port    = %s
  }
  forward_to = [pyroscope.write.server.receiver]
}
pyroscope.scrape "pulled" {
  targets         = [{"__address__" = %q, "service_name" = "scraped"}]
  forward_to      = [pyroscope.write.server.receiver]
  scrape_interval = "1s"
  scrape_timeout  = "1s"
  params          = {"consumer" = ["alloy"]}
  profiling_config {
    profile.memory      { enabled = false }
    profile.block       { enabled = false }
    profile.goroutine   { enabled = false }
    profile.mutex       { enabled = false }
    profile.process_cpu { enabled = false }
    profile.custom "rpc" {
      enabled = true
      path    = "/debug/pprof/delta_rpc"
    }
  }
}
`

// startAlloy until it is ready; where it takes pushes.
func startAlloy(t *testing.T, alloy, target string) string {
	t.Helper()
	dir, port, receiver := t.TempDir(), peer.FreePort(), peer.FreePort()
	config := filepath.Join(dir, "config.alloy")
	text := fmt.Sprintf(alloyConfig, url, receiver, target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	run := exec.Command(alloy, "run", "--disable-reporting", "--stability.level=public-preview",
		"--storage.path="+dir,
		"--server.http.listen-addr=127.0.0.1:"+port, config)
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run.Process.Kill()
		run.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s", said)
		}
	})
	for range 300 {
		response, err := http.Get("http://127.0.0.1:" + port + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return "http://127.0.0.1:" + receiver
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("alloy is not ready")
	return ""
}

// The program PEER_ALLOY scrapes what is recorded and takes what is pushed: the server has exactly that.
func TestAlloy(t *testing.T) {
	alloy := os.Getenv("PEER_ALLOY")
	if alloy == "" {
		t.Skip("scripts/test-peers alloy runs it")
	}
	pulled := start(t, "pulled", peer.Program("tests/pull/peer_pull"))
	said, err := pulled.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(strings.TrimSpace(said), "0 http://")
	receiver := startAlloy(t, alloy, target)
	for said = " ok 0 "; strings.Contains(said, " ok 0 "); { // its first scrape is the begin
		fmt.Fprintln(pulled.in, "stats")
		if said, err = pulled.out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	sent := map[string]int64{}
	for round := range 3 {
		for i := range 200 {
			for _, side := range []string{"server", "client"} {
				calls := 1 + (i+round)%7
				fmt.Fprintf(pulled.in, "call %d %s /shop.Cart/Method%d\n", calls, side, i)
				sent[fmt.Sprintf("%s;/shop.Cart/Method%d", side, i)] += int64(calls)
			}
		}
		time.Sleep(1500 * time.Millisecond)
	}
	compare(t, sent, "rpc:calls:count:wall:nanoseconds", `{service_name="scraped"}`)
	pulled.end(t, 0)

	agent, recorded := start(t, "forwarded", "/usr/bin/env",
		"PYROSCOPE_SERVER_ADDRESS="+receiver, peer.Program("tests/config/config_agent"), "-"),
		map[string]int64{}
	agent.record(t, recorded)
	t.Log(agent.end(t, 0))
	compare(t, recorded, callsType, `{service_name="forwarded"}`)
}
