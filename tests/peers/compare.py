# SPDX-License-Identifier: Apache-2.0
"""compare.py save ADDRESS FILE: our own dump of the calls, as {opid: [[name, ns, thread], ...]}.
compare.py compare OURS THEIRS LEAST: what grpc-go's command drew is what we have, call by call."""
import collections
import json
import struct
import sys


def save(address, path):
    import grpc
    from rpcprof.v1 import profiling_pb2 as pb
    from rpcprof.v1 import profiling_pb2_grpc as pb_grpc

    calls = {}
    stub = pb_grpc.ProfilingStub(grpc.insecure_channel(address))
    for part in stub.Snapshot(pb.SnapshotRequest(), timeout=20):
        for stat in part.stats:
            opid = "/%s/%d/%d" % (stat.side, *struct.unpack(">QI", stat.metadata))
            assert opid not in calls, opid
            first = stat.timers[0].thread
            calls[opid] = [[opid + "/", stat.duration_ns, first]] + [
                [opid + timer.tag, timer.duration_ns, timer.thread] for timer in stat.timers]
    json.dump(calls, open(path, "w"))


def compare(ours_path, theirs_path, least):
    ours = {opid: collections.Counter(map(tuple, timers))
            for opid, timers in json.load(open(ours_path)).items()}
    theirs = collections.defaultdict(collections.Counter)
    open_at = collections.defaultdict(list)
    for node in json.load(open(theirs_path)):
        key = (node["id"], node["name"], node["tid"])
        if node["ph"] == "B":
            open_at[key].append(node["ts"])
        elif node["ph"] == "E":
            begin = open_at[key].pop(0)
            theirs[node["id"]][(node["name"], round(node["ts"] - begin), int(node["tid"]))] += 1
    assert not any(open_at.values())
    assert len(ours) >= least, len(ours)
    assert set(ours) == set(theirs), (len(ours), len(theirs))
    for opid, timers in ours.items():
        assert timers == theirs[opid], (opid, timers, theirs[opid])
    print(f"{len(ours)} calls, {sum(sum(t.values()) for t in ours.values())} timers: the same")


if sys.argv[1] == "save":
    save(*sys.argv[2:])
else:
    compare(sys.argv[2], sys.argv[3], int(sys.argv[4]))
