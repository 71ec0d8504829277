// SPDX-License-Identifier: Apache-2.0

// Pushes to a Parca server and compares what it stored with what was sent.
package parca

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	query "github.com/parca-dev/parca/gen/proto/go/parca/query/v1alpha1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
	"rpcprof.dev/tests/peers/peer"
)

var address = "127.0.0.1:" + peer.FreePort()

func isReady() bool {
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// On the loopback, asking nobody for debug information.
func TestMain(m *testing.M) {
	peer.Run(m, isReady, func(dir string) []string {
		config := filepath.Join(dir, "parca.yaml")
		text := "object_storage:\n  bucket:\n    type: FILESYSTEM\n    config:\n      directory: data\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			panic(err)
		}
		return []string{"--config-path=" + config, "--http-address=" + address,
			"--debuginfo-cache-dir=" + dir, "--debuginfod-upstream-servers=http://127.0.0.1:1"}
	})
}

func stored(t *testing.T, profileType, selector string) (*profile.Profile, error) {
	t.Helper()
	client, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	now := time.Now()
	response, err := query.NewQueryServiceClient(client).Query(context.Background(),
		&query.QueryRequest{Mode: query.QueryRequest_MODE_MERGE,
			ReportType: query.QueryRequest_REPORT_TYPE_PPROF,
			Options: &query.QueryRequest_Merge{Merge: &query.MergeProfile{
				Query: profileType + ":delta" + selector,
				Start: timestamppb.New(now.Add(-time.Hour)),
				End:   timestamppb.New(now.Add(time.Hour))}}})
	if err != nil {
		return nil, err
	}
	return profile.ParseData(response.GetPprof())
}

func compare(t *testing.T, sent map[string]int64, profileType, selector string) {
	t.Helper()
	err := errors.New("nothing was asked")
	peer.Await(t, profileType+selector, sent, func() map[string]int64 {
		var p *profile.Profile
		if p, err = stored(t, profileType, selector); err != nil {
			return nil
		}
		return peer.Stacks(p, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteRaw(t *testing.T) {
	dir := t.TempDir()
	said := peer.Push(t, "calls", "http://"+address, "4", dir, "application=echo")
	peer.Expect(t, said, map[string]string{"taken": "2", "sent": "2", "last_error": ""})
	sent := peer.Merged(t, dir)
	for i, sampleType := range []string{"calls:count", "stages:count", "wall:nanoseconds"} {
		compare(t, peer.Stacks(sent, i), "wall:"+sampleType+":wall:nanoseconds",
			`{service_name="echo",region="north",version="1.2.3"}`)
	}
	for _, side := range []string{"server", "client"} {
		one := sent.Copy()
		one.FilterSamplesByTag(func(s *profile.Sample) bool {
			return s.Label["side"][0] == side
		}, nil)
		compare(t, peer.Stacks(one, 2), "wall:wall:nanoseconds:wall:nanoseconds",
			fmt.Sprintf(`{service_name="echo",side=%q}`, side))
	}
}

// What the server refuses it refuses with a reason, which is kept: Parca wants ids 1 to n.
func TestServersReasonIsKept(t *testing.T) {
	wall := &profile.ValueType{Type: "wall", Unit: "nanoseconds"}
	function := &profile.Function{ID: 7, Name: "f"}
	location := &profile.Location{ID: 7, Line: []profile.Line{{Function: function}}}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{wall}, PeriodType: wall, Period: 1,
		TimeNanos: time.Now().UnixNano(), DurationNanos: 1e9,
		Function: []*profile.Function{function}, Location: []*profile.Location{location},
		Sample: []*profile.Sample{{Location: []*profile.Location{location}, Value: []int64{1}}}}
	path := filepath.Join(t.TempDir(), "odd.pb.gz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Write(file), file.Close()); err != nil {
		t.Fatal(err)
	}
	said := peer.Push(t, "file", "http://"+address, "4", path)
	peer.Expect(t, said, map[string]string{"sent": "0", "dropped_refused": "1",
		"last_status": "400"})
	if !strings.HasPrefix(said["last_error"], "refused: gRPC status 3: ") {
		t.Fatal(said["last_error"])
	}
}
