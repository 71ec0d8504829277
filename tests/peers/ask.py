# SPDX-License-Identifier: Apache-2.0
"""ask.py ADDRESSES CA CERTIFICATE KEY PID: asks a process that tests/peers/service.c started, whose
standard input is descriptor 3."""
import gzip
import os
import sys
import time

import grpc
import grpc_go_profiling_pb2 as go
import grpc_go_profiling_pb2_grpc as go_grpc
from rpcprof.v1 import profiling_pb2 as pb
from rpcprof.v1 import profiling_pb2_grpc as pb_grpc

CALLS = 1000
READ = (("authorization", "Bearer the-token-to-read-with"),)
CONTROL = (("authorization", "Bearer the-token-to-control-with"),)
WRONG = (("authorization", "Bearer the-token-to-guess-with"),)


def read(path):
    with open(path, "rb") as file:
        return file.read()


addresses = dict(line.split() for line in open(sys.argv[1]))
ca, certificate, key = map(read, sys.argv[2:5])
pid = int(sys.argv[5])


def refused(code, ask):
    try:
        list(answer) if hasattr(answer := ask(), "__next__") else answer
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        # gRPC C++ itself has no words for a method that is not there.
        assert error.details() or code == grpc.StatusCode.UNIMPLEMENTED, "no message"
        return error.details()
    raise AssertionError(f"was answered, not refused with {code}")


def merge(parts):
    whole = pb.Dump()
    for part in parts:
        assert part.ByteSize() <= 1 << 20
        whole.MergeFrom(part)
    return whole


# The private socket: this user may do everything.
channel = grpc.insecure_channel(addresses["private"])
ours = pb_grpc.ProfilingStub(channel)
theirs = go_grpc.ProfilingStub(channel)

status = ours.Status(pb.StatusRequest(), timeout=10)
assert status.header.pid == pid and status.header.enabled
assert status.header.counters.recorded == CALLS and status.in_flight == 1

dump = merge(ours.Snapshot(pb.SnapshotRequest(), timeout=10))
assert len(dump.stats) == dump.end.stats == CALLS
assert all([timer.tag for timer in stat.timers] == ["/decode", "/handler"] for stat in dump.stats)
assert {stat.method for stat in dump.stats} == {"/shop.Cart/Get"}
assert len({stat.metadata for stat in dump.stats}) == CALLS
some = merge(ours.Snapshot(pb.SnapshotRequest(
    filter=pb.Filter(side="server", status=pb.StatusCode(code=0)), last=7), timeout=10))
assert len(some.stats) == 7
assert all(stat.side == "server" and stat.status.code == 0 for stat in some.stats)
assert len(merge(ours.InFlight(pb.InFlightRequest(), timeout=10)).stats) == 1

# Switched on for a time, by a client that goes away.
assert ours.Enable(pb.EnableRequest(enabled=False), timeout=10).was_enabled
with grpc.insecure_channel(addresses["private"]) as gone:
    pb_grpc.ProfilingStub(gone).Enable(pb.EnableRequest(enabled=True, duration_ns=200000000),
                                       timeout=10)
while ours.Status(pb.StatusRequest(), timeout=10).header.enabled:
    time.sleep(0.05)
refused(grpc.StatusCode.FAILED_PRECONDITION,
        lambda: ours.Profile(pb.ProfileRequest(duration_ns=1000000), timeout=10))
theirs.Enable(go.EnableRequest(enabled=True), timeout=10)
pieces = list(ours.Profile(pb.ProfileRequest(duration_ns=50000000), timeout=10))
assert pieces and pieces[0].duration_ns >= 50000000
profile = b"".join(piece.pprof for piece in pieces)
assert profile == b"" or b"wall" in gzip.decompress(profile)

# Drained, and drained again until it is acknowledged; then nobody has it.
first = list(ours.Drain(pb.DrainRequest(), timeout=10))
again = list(ours.Drain(pb.DrainRequest(), timeout=10))
assert sum(len(batch.stats) for batch in first) == CALLS
assert again == first
last = pb.DrainRequest(session=first[-1].session, batch=first[-1].batch)
assert not list(ours.Drain(last, timeout=10))
assert not theirs.GetStreamStats(go.GetStreamStatsRequest(), timeout=10).stream_stats

# Asked without a pause, while calls end: each is told once. The service is told of calls by
# descriptor 3.
told = []
for _ in range(30):
    os.write(3, b"...")
    told += theirs.GetStreamStats(go.GetStreamStatsRequest(), timeout=10).stream_stats
end = time.monotonic() + 20
while len(ids := [stat.metadata for stat in told if stat.metadata != b"\xff" * 12]) < 90:
    assert time.monotonic() < end, len(ids)
    time.sleep(0.02)
    told += theirs.GetStreamStats(go.GetStreamStatsRequest(), timeout=10).stream_stats
assert len(ids) == len(set(ids)) == 90

# What is wrong is said at once, and the service goes on.
raw = channel.unary_unary("/rpcprof.v1.Profiling/Enable")
refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: raw(b"\x0a\x7f", timeout=10))
refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: raw(b"\0" * 20000, timeout=10))
for path in ("/rpcprof.v1.Profiling/Nothing", "/grpc.health.v1.Health/Check"):
    refused(grpc.StatusCode.UNIMPLEMENTED,
            lambda: channel.unary_unary(path)(b"", timeout=10))
assert ours.Status(pb.StatusRequest(), timeout=10).requests.begun > 10

# Tokens.
def by_tokens(stub):
    refused(grpc.StatusCode.UNAUTHENTICATED, lambda: stub.Status(pb.StatusRequest(), timeout=10))
    refused(grpc.StatusCode.UNAUTHENTICATED,
            lambda: stub.Status(pb.StatusRequest(), metadata=WRONG, timeout=10))
    assert stub.Status(pb.StatusRequest(), metadata=READ, timeout=10).header.pid == pid
    refused(grpc.StatusCode.PERMISSION_DENIED,
            lambda: stub.Enable(pb.EnableRequest(enabled=True), metadata=READ, timeout=10))
    stub.Enable(pb.EnableRequest(enabled=True), metadata=CONTROL, timeout=10)


by_tokens(pb_grpc.ProfilingStub(grpc.insecure_channel(addresses["tokens"])))

# TLS, and TLS with certificates on both sides.
of_server = grpc.ssl_channel_credentials(root_certificates=ca)
of_both = grpc.ssl_channel_credentials(ca, key, certificate)
by_tokens(pb_grpc.ProfilingStub(grpc.secure_channel(addresses["tls"], of_server)))
by_tokens(pb_grpc.ProfilingStub(grpc.secure_channel(addresses["mutual"], of_both)))
for name, channel in (("tls", grpc.insecure_channel(addresses["tls"])),
                      ("mutual", grpc.secure_channel(addresses["mutual"], of_server))):
    refused(grpc.StatusCode.UNAVAILABLE,
            lambda: pb_grpc.ProfilingStub(channel).Status(pb.StatusRequest(), metadata=READ,
                                                          timeout=10))
print(f"{CALLS} calls, 4 addresses")
