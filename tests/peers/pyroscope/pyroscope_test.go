// SPDX-License-Identifier: Apache-2.0

// Pushes to a Pyroscope server and compares what it stored with what was sent.
package pyroscope

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/pprof/profile"
	querierv1 "github.com/grafana/pyroscope/api/gen/proto/go/querier/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"rpcprof.dev/tests/peers/peer"
)

var url string

func isReady() bool {
	response, err := http.Get(url + "/ready")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Everything in one process, on the loopback, telling nobody.
func serverArgs(dir, port string) []string {
	return []string{"-target=all",
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port=" + port,
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=0",
		"-memberlist.bind-addr=127.0.0.1", "-memberlist.bind-port=0",
		"-usage-stats.enabled=false", "-self-profiling.disable-push=true",
		"-pyroscopedb.data-path=" + dir, "-storage.backend=filesystem",
		"-storage.filesystem.dir=" + dir + "/shared", "-compactor.data-dir=" + dir + "/compactor",
		"-blocks-storage.bucket-store.sync-dir=" + dir + "/sync",
		"-ingester.min-ready-duration=0s", "-ingester.lifecycler.addr=127.0.0.1",
		"-memberlist.advertise-addr=127.0.0.1", "-query-frontend.instance-addr=127.0.0.1",
		"-compactor.ring.instance-addr=127.0.0.1", "-distributor.ring.instance-addr=127.0.0.1",
		"-overrides-exporter.ring.instance-addr=127.0.0.1",
		"-query-scheduler.ring.instance-addr=127.0.0.1",
		"-store-gateway.sharding-ring.instance-addr=127.0.0.1"}
}

func TestMain(m *testing.M) {
	port := peer.FreePort()
	url = "http://127.0.0.1:" + port
	peer.Run(m, isReady, func(dir string) []string { return serverArgs(dir, port) })
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
	peer.Await(t, profileType+" "+selector, sent, func() map[string]int64 {
		return peer.Stacks(stored(t, profileType, selector), 0)
	})
}

func testCalls(t *testing.T, protocol, application string) {
	dir := t.TempDir()
	said := peer.Push(t, "calls", url, protocol, dir, "application="+application)
	peer.Expect(t, said, map[string]string{"taken": "2", "sent": "2", "last_error": ""})
	sent := peer.Merged(t, dir)
	for i, sampleType := range []string{"calls:count", "stages:count", "wall:nanoseconds"} {
		compare(t, peer.Stacks(sent, i), "wall:"+sampleType+":wall:nanoseconds",
			fmt.Sprintf(`{service_name=%q,region="north",version="1.2.3"}`, application))
	}
	for _, side := range []string{"server", "client"} {
		one := sent.Copy()
		one.FilterSamplesByTag(func(s *profile.Sample) bool {
			return s.Label["side"][0] == side
		}, nil)
		compare(t, peer.Stacks(one, 2), "wall:wall:nanoseconds:wall:nanoseconds",
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
	said := peer.Push(t, "file", url, "0", path, "application=split")
	peer.Expect(t, said, map[string]string{"sent": "2", "split": "1", "folded": "0"})
	compare(t, peer.Stacks(p, 0), peerType, `{service_name="split"}`)
}

// More than fits the parts: the smallest are one sample, and the total is as it was.
func TestTooLargeProfileIsFolded(t *testing.T) {
	path, p := writeLarge(t, 100000, "f")
	said := peer.Push(t, "file", url, "0", path, "application=fold")
	peer.Expect(t, said, map[string]string{"sent": "4", "split": "3"})
	folded, _ := strconv.Atoi(said["folded"])
	sent := peer.Stacks(p, 0)
	for i := range folded {
		name := fmt.Sprintf("f %d", i)
		sent["other"] += sent[name]
		delete(sent, name)
	}
	if folded < 40000 {
		t.Fatalf("only %d samples were folded", folded)
	}
	compare(t, sent, peerType, `{service_name="fold"}`)
}

// Why profiles are split: the server answers 429 to this one for ever.
func TestAboveBurstIsNeverTaken(t *testing.T) {
	path, _ := writeLarge(t, 10000, strings.Repeat("x", 250))
	said := peer.Push(t, "file", url, "0", path, "application=burst", "profile_bytes=100000000",
		"flush_ms=3000")
	peer.Expect(t, said, map[string]string{"sent": "0", "last_status": "429"})
	said = peer.Push(t, "file", url, "0", path, "application=burst")
	peer.Expect(t, said, map[string]string{"sent": "2", "split": "1"})
}

// What the server refuses it refuses with a reason, which is kept.
func TestServersReasonIsKept(t *testing.T) {
	path, _ := writeLarge(t, 1, strings.Repeat("x", 10))
	old := strconv.FormatInt(time.Now().Add(-30*time.Minute).Unix(), 10)
	said := peer.Push(t, "file", url+"/nothing", "0", path, "begin_s="+old)
	peer.Expect(t, said, map[string]string{"sent": "0", "dropped_refused": "1", "last_status": "404"})
	said = peer.Push(t, "file", url, "0", path, "max_age_s=60", "begin_s="+old)
	peer.Expect(t, said, map[string]string{"sent": "0", "dropped_old": "1"})
}

// By the labels that are ours, and by all that the server has: of those it makes a series of each
// sample type that is not all 0.
func expectSeries(t *testing.T, application string, ours, all int) {
	t.Helper()
	client := querierv1connect.NewQuerierServiceClient(http.DefaultClient, url)
	now := time.Now()
	for _, wanted := range []struct {
		names  []string
		series int
	}{{[]string{"service_name", "side"}, ours}, {nil, all}} {
		response, err := client.Series(context.Background(),
			connect.NewRequest(&querierv1.SeriesRequest{
				Matchers:   []string{fmt.Sprintf(`{service_name=%q}`, application)},
				LabelNames: wanted.names,
				Start:      now.Add(-time.Hour).UnixMilli(), End: now.Add(time.Hour).UnixMilli()}))
		if err != nil {
			t.Fatal(err)
		}
		if sets := response.Msg.LabelsSet; len(sets) != wanted.series {
			t.Fatalf("%d series by %v: %v", len(sets), wanted.names, sets)
		}
	}
}

// What multiplies series is labels, and of those only the side is in the profile.
func TestMethodsAndStatusesMakeNoSeries(t *testing.T) {
	said := peer.Push(t, "methods", url, "0", "200", "application=many")
	peer.Expect(t, said, map[string]string{"taken": "1", "sent": "1", "last_error": ""})
	expectSeries(t, "many", 2, 4)
}
