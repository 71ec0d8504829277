// SPDX-License-Identifier: Apache-2.0

package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What passes between a fleet and the server, and whether it may. Down, nobody listens there.
type gate struct {
	address string
	handler http.Handler
	server  *http.Server
	began   time.Time
	lock    sync.Mutex
	seconds []int // arrivals in each
	status  map[int]int
}

func (g *gate) note(status int) {
	g.lock.Lock()
	defer g.lock.Unlock()
	for second := int(time.Since(g.began).Seconds()); len(g.seconds) <= second; {
		g.seconds = append(g.seconds, 0)
	}
	g.seconds[len(g.seconds)-1]++
	g.status[status]++
}

func (g *gate) open() {
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		panic(err)
	}
	g.address = listener.Addr().String()
	g.server = &http.Server{Handler: g.handler}
	go g.server.Serve(listener)
}

// Requests that go on are let finish: what would become of them is another test's question.
func (g *gate) close() {
	g.server.Shutdown(context.Background())
}

func newGate() *gate {
	target, _ := neturl.Parse(url)
	g := &gate{address: "127.0.0.1:0", began: time.Now(), status: map[int]int{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	proxy.ModifyResponse = func(response *http.Response) error {
		g.note(response.StatusCode)
		return nil
	}
	g.handler = proxy
	g.open()
	return g
}

// Arrivals a second, as bars; down from..to in seconds.
func (g *gate) plot(path, title string, from, to float64) error {
	most := 1
	for _, n := range g.seconds {
		most = max(most, n)
	}
	var out strings.Builder
	width := 760 / float64(len(g.seconds))
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="820" height="300">
<style>text{font:13px sans-serif;fill:#5b636d}.bar{fill:#2f6fc9}.down{fill:#c8681a;opacity:.25}</style>
<text x="40" y="22">%s; at most %d a second</text>
<rect class="down" x="%.1f" y="40" width="%.1f" height="220"/>
`, title, most, 40+from*width, (to-from)*width)
	for i, n := range g.seconds {
		height := 220 * float64(n) / float64(most)
		fmt.Fprintf(&out, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
			40+float64(i)*width, 260-height, max(width-1, .5), height)
	}
	fmt.Fprintf(&out, "<text x=\"40\" y=\"280\">0 s</text><text x=\"770\" y=\"280\">%d s</text>\n</svg>\n",
		len(g.seconds))
	return os.WriteFile(path, []byte(out.String()), 0o644)
}

func number(name string, otherwise float64) float64 {
	if value, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil {
		return value
	}
	return otherwise
}

// scripts/bench-fleet: FLEET_PROGRAM, FLEET_PROCESSES, FLEET_SECONDS, FLEET_INTERVAL, FLEET_OUTAGE
// (seconds; in the first third the server is there), FLEET_PLOT.
func TestFleet(t *testing.T) {
	program := os.Getenv("FLEET_PROGRAM")
	if program == "" {
		t.Skip("scripts/bench-fleet runs it")
	}
	processes, seconds := number("FLEET_PROCESSES", 1000), number("FLEET_SECONDS", 600)
	interval, outage := number("FLEET_INTERVAL", 10), number("FLEET_OUTAGE", 0)
	g := newGate()
	spool := filepath.Join(t.TempDir(), "spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	fleet := exec.Command(program, "http://"+g.address, fmt.Sprint(processes), fmt.Sprint(seconds),
		fmt.Sprint(interval), spool, fmt.Sprint(10/interval))
	fleet.Stderr = os.Stderr
	var out strings.Builder
	fleet.Stdout = &out
	if err := fleet.Start(); err != nil {
		t.Fatal(err)
	}
	from := 3 * interval
	if outage > 0 {
		time.Sleep(time.Duration(from * float64(time.Second)))
		g.close()
		time.Sleep(time.Duration(outage * float64(time.Second)))
		g.open()
	}
	if err := fleet.Wait(); err != nil {
		t.Fatal(err, out.String())
	}
	g.close()
	report(t, g, out.String(), processes)
	if path := os.Getenv("FLEET_PLOT"); path != "" {
		title := fmt.Sprintf("%.0f processes, windows of %.0f s", processes, interval)
		if err := g.plot(path, title, from, from+outage); err != nil {
			t.Fatal(err)
		}
	}
}

// What the server has, against what the processes recorded.
func report(t *testing.T, g *gate, out string, processes float64) {
	said := map[string]int64{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name], _ = strconv.ParseInt(value, 10, 64)
	}
	requests := 0
	for _, n := range g.status {
		requests += n
	}
	sent := said["calls"] * int64(processes)
	var got int64
	for range 100 {
		got = 0
		for _, sample := range stored(t, "wall:calls:count:wall:nanoseconds",
			`{service_name="fleet"}`).Sample {
			got += sample.Value[0]
		}
		if got == sent {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	fmt.Printf("%s\nrequests %d, by status %v\ncalls recorded %d, stored %d, lost %d\n", out,
		requests, g.status, sent, got, sent-got)
	var err error
	if got != sent {
		err = errors.New("what is stored is not what was recorded")
	}
	if 100*g.status[429] >= requests {
		err = errors.Join(err, errors.New("1 % or more of the answers were 429"))
	}
	if err != nil {
		t.Fatal(err)
	}
}
