// SPDX-License-Identifier: Apache-2.0

// Pushes to a Pyroscope server and compares what it stored with what was sent. Environment:
// PEER_SERVER, the server's program; PEER_PUSH, the program of tests/push/push.c.
package pyroscope

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
)

var url string

func freePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func isReady() bool {
	response, err := http.Get(url + "/ready")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Everything in one process, on the loopback, telling nobody.
func startServer(dir, port string) *exec.Cmd {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		panic(err)
	}
	server := exec.Command(os.Getenv("PEER_SERVER"), "-target=all",
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port="+port,
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=0",
		"-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port=0",
		"-usage-stats.enabled=false", "-self-profiling.disable-push=true",
		"-pyroscopedb.data-path="+dir, "-storage.backend=filesystem",
		"-storage.filesystem.dir="+dir+"/shared", "-compactor.data-dir="+dir+"/compactor",
		"-blocks-storage.bucket-store.sync-dir="+dir+"/sync",
		"-ingester.min-ready-duration=0s", "-ingester.lifecycler.addr=127.0.0.1",
		"-memberlist.advertise-addr=127.0.0.1", "-query-frontend.instance-addr=127.0.0.1",
		"-compactor.ring.instance-addr=127.0.0.1", "-distributor.ring.instance-addr=127.0.0.1",
		"-overrides-exporter.ring.instance-addr=127.0.0.1",
		"-query-scheduler.ring.instance-addr=127.0.0.1",
		"-store-gateway.sharding-ring.instance-addr=127.0.0.1")
	server.Dir = dir
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		panic(err)
	}
	return server
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pyroscope")
	if err != nil {
		panic(err)
	}
	port := freePort()
	url = "http://127.0.0.1:" + port
	server := startServer(dir, port)
	for i := 0; !isReady(); i++ {
		if i == 600 {
			panic("the server did not become ready within a minute")
		}
		time.Sleep(100 * time.Millisecond)
	}
	code := m.Run()
	server.Process.Kill()
	server.Wait()
	if code != 0 {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		fmt.Fprintf(os.Stderr, "%s", log[max(0, len(log)-4000):])
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// The counters that the program printed.
func push(t *testing.T, args ...string) map[string]string {
	t.Helper()
	out, err := exec.Command(os.Getenv("PEER_PUSH"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("push %v: %v\n%s", args, err, out)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = value
	}
	return said
}

func expect(t *testing.T, said map[string]string, wanted map[string]string) {
	t.Helper()
	for name, value := range wanted {
		if said[name] != value {
			t.Fatalf("%s is %q, not %q: %v", name, said[name], value, said)
		}
	}
}

// The values of one type by stack, root first.
func stacks(p *profile.Profile, index int) map[string]int64 {
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

func stored(t *testing.T, profileType, selector string) *profile.Profile {
	t.Helper()
	client := querierv1connect.NewQuerierServiceClient(http.DefaultClient, url)
	now := time.Now()
	response, err := client.SelectMergeProfile(context.Background(),
		connect.NewRequest(&querierv1.SelectMergeProfileRequest{
			ProfileTypeID: profileType, LabelSelector: selector,
			Start: now.Add(-time.Hour).UnixMilli(), End: now.Add(time.Hour).UnixMilli()}))
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := response.Msg.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseUncompressed(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is stored becomes what was sent, after a moment.
func compare(t *testing.T, sent map[string]int64, profileType, selector string) {
	t.Helper()
	var got map[string]int64
	for range 100 {
		got = stacks(stored(t, profileType, selector), 0)
		if maps.Equal(got, sent) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s %s: stored %d stacks, not the %d that were sent", profileType, selector,
		len(got), len(sent))
}

func merged(t *testing.T, dir string) *profile.Profile {
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

func testCalls(t *testing.T, protocol, application string) {
	dir := t.TempDir()
	said := push(t, "calls", url, protocol, dir, "application="+application)
	expect(t, said, map[string]string{"taken": "2", "sent": "2", "last_error": ""})
	sent := merged(t, dir)
	for i, sampleType := range []string{"calls:count", "stages:count", "wall:nanoseconds"} {
		compare(t, stacks(sent, i), "wall:"+sampleType+":wall:nanoseconds",
			fmt.Sprintf(`{service_name=%q,region="north",version="1.2.3"}`, application))
	}
	for _, side := range []string{"server", "client"} {
		one := sent.Copy()
		one.FilterSamplesByTag(func(s *profile.Sample) bool {
			return s.Label["side"][0] == side
		}, nil)
		compare(t, stacks(one, 2), "wall:wall:nanoseconds:wall:nanoseconds",
			fmt.Sprintf(`{service_name=%q,side=%q}`, application, side))
	}
}

func TestPush(t *testing.T)       { testCalls(t, "0", "echo") }
func TestIngest(t *testing.T)     { testCalls(t, "1", "echo.raw") }
func TestIngestForm(t *testing.T) { testCalls(t, "2", "echo.form") }

// A profile of many samples, the i-th one's value i + 1.
func writeLarge(t *testing.T, samples int, name string) (string, *profile.Profile) {
	t.Helper()
	p := &profile.Profile{
		SampleType:    []*profile.ValueType{{Type: "wall", Unit: "nanoseconds"}},
		PeriodType:    &profile.ValueType{Type: "wall", Unit: "nanoseconds"},
		Period:        1,
		TimeNanos:     time.Now().Add(-time.Second).UnixNano(),
		DurationNanos: 1e9,
	}
	for i := range samples {
		function := &profile.Function{ID: uint64(i + 1), Name: fmt.Sprintf("%s %d", name, i)}
		location := &profile.Location{ID: uint64(i + 1), Line: []profile.Line{{Function: function}}}
		p.Function = append(p.Function, function)
		p.Location = append(p.Location, location)
		p.Sample = append(p.Sample, &profile.Sample{
			Location: []*profile.Location{location}, Value: []int64{int64(i + 1)}})
	}
	path := filepath.Join(t.TempDir(), "large.pb.gz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path, p
}

const peerType = "peer:wall:nanoseconds:wall:nanoseconds"

// More samples than the server takes at once, in parts: nothing is missing.
func TestLargeProfileIsSplit(t *testing.T) {
	path, p := writeLarge(t, 20000, "f")
	said := push(t, "file", url, "0", path, "application=split")
	expect(t, said, map[string]string{"sent": "2", "split": "1", "folded": "0"})
	compare(t, stacks(p, 0), peerType, `{service_name="split"}`)
}

// More than fits the parts: the smallest are one sample, and the total is as it was.
func TestTooLargeProfileIsFolded(t *testing.T) {
	path, p := writeLarge(t, 70000, "f")
	said := push(t, "file", url, "0", path, "application=fold")
	expect(t, said, map[string]string{"sent": "4", "split": "3"})
	folded, _ := strconv.Atoi(said["folded"])
	sent := stacks(p, 0)
	for i := range folded {
		name := fmt.Sprintf("f %d", i)
		sent["other"] += sent[name]
		delete(sent, name)
	}
	if folded < 10000 {
		t.Fatalf("only %d samples were folded", folded)
	}
	compare(t, sent, peerType, `{service_name="fold"}`)
}

// Why profiles are split: the server answers 429 to this one for ever.
func TestAboveBurstIsNeverTaken(t *testing.T) {
	path, _ := writeLarge(t, 10000, strings.Repeat("x", 250))
	said := push(t, "file", url, "0", path, "application=burst", "profile_bytes=100000000",
		"flush_ms=3000")
	expect(t, said, map[string]string{"sent": "0", "last_status": "429"})
	said = push(t, "file", url, "0", path, "application=burst")
	expect(t, said, map[string]string{"sent": "2", "split": "1"})
}

// What the server refuses it refuses with a reason, which is kept.
func TestServersReasonIsKept(t *testing.T) {
	path, _ := writeLarge(t, 1, strings.Repeat("x", 10))
	old := strconv.FormatInt(time.Now().Add(-30*time.Minute).Unix(), 10)
	said := push(t, "file", url+"/nothing", "0", path, "begin_s="+old)
	expect(t, said, map[string]string{"sent": "0", "dropped_refused": "1", "last_status": "404"})
	said = push(t, "file", url, "0", path, "max_age_s=60", "begin_s="+old)
	expect(t, said, map[string]string{"sent": "0", "dropped_old": "1"})
}
