// SPDX-License-Identifier: Apache-2.0

package pyroscope

import (
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	toxics "github.com/Shopify/toxiproxy/v2/client"
	"github.com/rs/zerolog"
	"rpcprof.dev/tests/peers/peer"
)

// A proxy before the server, whose connections can be spoiled.
func newProxy(t *testing.T) (*toxics.Proxy, string) {
	t.Helper()
	port := peer.FreePort()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	go server.Listen("127.0.0.1", port)
	client := toxics.NewClient("127.0.0.1:" + port)
	upstream := strings.TrimPrefix(url, "http://")
	var proxy *toxics.Proxy
	var err error
	for range 50 {
		if proxy, err = client.CreateProxy("server", "127.0.0.1:0", upstream); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Delete() })
	return proxy, "http://" + proxy.Listen
}

type fault struct {
	name, toxic, stream string
	attributes          toxics.Attributes
	passes              bool // what is sent arrives in spite of it
}

// While it lasts, nothing is lost but what may have arrived; after it, everything arrives: what the
// server has is what was counted as sent, stack by stack.
func TestFaultsOfTheWay(t *testing.T) {
	for i, fault := range []fault{
		{"latency", "latency", "upstream", toxics.Attributes{"latency": 300, "jitter": 100}, true},
		{"bandwidth", "bandwidth", "upstream", toxics.Attributes{"rate": 4}, true},
		{"slicer", "slicer", "upstream", toxics.Attributes{"average_size": 64, "delay": 2000}, true},
		{"reset", "reset_peer", "upstream", toxics.Attributes{"timeout": 0}, false},
		{"truncation", "limit_data", "upstream", toxics.Attributes{"bytes": 500}, false},
		{"black hole", "timeout", "upstream", toxics.Attributes{"timeout": 0}, false},
	} {
		t.Run(fault.name, func(t *testing.T) {
			proxy, through := newProxy(t)
			if _, err := proxy.AddToxic("", fault.toxic, fault.stream, 1, fault.attributes); err != nil {
				t.Fatal(err)
			}
			path, p := writeLarge(t, 1000, "f")
			application := fmt.Sprintf("fault%d", i)
			finish := peer.Start(t, "file", through, "0", path, "application="+application,
				"timeout_ms=10000", "flush_ms=60000", "uncertain=1")
			if !fault.passes {
				time.Sleep(2 * time.Second)
				if err := proxy.RemoveToxic(fault.toxic + "_" + fault.stream); err != nil {
					t.Fatal(err)
				}
				// Connections that are as they were under the toxic end.
				proxy.Disable()
				time.Sleep(100 * time.Millisecond)
				proxy.Enable()
			}
			said := finish()
			peer.Expect(t, said, map[string]string{"taken": "1", "sent": "1", "queued": "0"})
			if fault.passes == (said["retried"] != "0") {
				t.Fatalf("retried %s times: %v", said["retried"], said)
			}
			compare(t, peer.Stacks(p, 0), peerType, fmt.Sprintf(`{service_name=%q}`, application))
		})
	}
}
