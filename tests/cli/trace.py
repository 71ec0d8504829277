# SPDX-License-Identifier: Apache-2.0
"""trace.py TRACE CALLS JOINED: checks a trace against the Trace Event Format, all of it that the
trace uses: the members of every event by its phase, slices of a track that nest, flows that begin
and end in a slice, tracks that have names; and that it has so many calls and joined pairs."""
import json
import sys
from collections import Counter, defaultdict

trace = json.load(open(sys.argv[1], encoding="ascii"))
calls, joined = int(sys.argv[2]), int(sys.argv[3])
assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"}, set(trace)
assert trace["displayTimeUnit"] in ("ns", "ms")
events = trace["traceEvents"]

MEMBERS = {
    "X": {"ph", "pid", "tid", "ts", "dur", "cat", "name", "args"},
    "M": {"ph", "pid", "tid", "name", "args"},
    "s": {"ph", "pid", "tid", "ts", "cat", "name", "id"},
    "f": {"ph", "pid", "tid", "ts", "cat", "name", "id", "bp"},
}
slices, flows, names, processes = defaultdict(list), defaultdict(list), {}, {}
for event in events:
    phase = event["ph"]
    assert set(event) == MEMBERS[phase], event
    assert type(event["pid"]) is int and type(event["tid"]) is int and event["name"], event
    track = event["pid"], event["tid"]
    for time in ("ts", "dur"):
        if time in event:  # in whole nanoseconds that a double holds
            assert type(event[time]) is float and 0 <= event[time] < 2**53 / 1000, event
            event[time] = round(event[time] * 1000)
    if phase == "X":
        assert type(event["args"]) is dict
        slices[track].append(event)
    elif phase == "M":
        assert event["name"] in ("process_name", "thread_name") and list(event["args"]) == ["name"]
        (processes if event["name"] == "process_name" else names)[track] = event["args"]["name"]
    else:
        flows[event["id"]].append(event)

for track, stack in slices.items():
    assert track in names, track
    assert track[0] in {pid for pid, _ in processes}, track
    open_slices = []
    for event in sorted(stack, key=lambda e: (e["ts"], -e["dur"])):
        while open_slices and open_slices[-1]["ts"] + open_slices[-1]["dur"] <= event["ts"]:
            open_slices.pop()
        if open_slices:
            outer = open_slices[-1]
            assert event["ts"] + event["dur"] <= outer["ts"] + outer["dur"], (outer, event)
        open_slices.append(event)

drawn = [e for stack in slices.values() for e in stack if e["cat"] != "stage"]
assert len(drawn) == calls == trace["otherData"]["calls"], len(drawn)
if not calls:
    assert trace["otherData"]["note"] == "no calls"
assert len(flows) == joined == trace["otherData"]["joined"], len(flows)
begins = {(e["pid"], e["tid"], e["ts"]): e for e in drawn}
for pair in flows.values():
    assert Counter(e["ph"] for e in pair) == {"s": 1, "f": 1}, pair
    client, server = sorted(pair, key=lambda e: e["ph"], reverse=True)
    ends = [begins[e["pid"], e["tid"], e["ts"]] for e in (client, server)]
    assert [e["cat"] for e in ends] == ["client", "server"], ends
    assert ends[0]["args"]["span_id"] == ends[1]["args"]["span_id"]
assert bool(trace["otherData"]["note"]) == (joined == 0)
