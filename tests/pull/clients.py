#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clients.py PULL PROTO_DIRECTORY: pulls from PULL, the program of tests/pull/pull.c, with Python's
HTTP client and with `go tool pprof`, and looks at what comes. Loopback only.
"""
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest
import zlib

from puller import HOME, READ, Profile, Puller

GOS = ("/usr/lib/go-1.19/bin/go", "/usr/lib/go/bin/go", shutil.which("go"))


class Clients(Puller):
    def test_what_an_answer_is(self):
        self.start()
        self.do("call 5 server /a.B/C")
        answer = self.ask("/debug/pprof/rpc")
        self.assertEqual(answer.status, 200)
        for name, value in {"Content-Type": "application/octet-stream",
                            "Content-Disposition": 'attachment; filename="profile"',
                            "X-Content-Type-Options": "nosniff", "Content-Encoding": None,
                            "X-Go-Pprof": None,
                            "Content-Length": str(len(answer.body))}.items():
            self.assertEqual(answer.headers[name], value, name)
        profile = Profile(answer.body)
        self.assertEqual(profile.types, ["calls/count", "stages/count", "wall/nanoseconds"])
        self.assertEqual((profile.period_type, profile.message.period), ("wall", 1))
        self.assertEqual(profile.calls("server;/a.B/C"), 5)
        self.assertIn("unaggregated: 0", profile.comments)

    def test_so_far_only_grows(self):
        self.start()
        self.do("call 10 server /a.B/C")
        first = self.profile("/debug/pprof/rpc")
        self.do("call 7 client /a.B/C")
        second = self.profile("/debug/pprof/rpc")
        self.assertEqual((first.calls(), second.calls()), (10, 17))
        self.assertEqual(second.calls("client;/a.B/C"), 7)
        self.assertEqual(first.stacks["server;/a.B/C"], second.stacks["server;/a.B/C"])
        self.assertAlmostEqual(first.message.time_nanos, second.message.time_nanos, delta=1000)
        self.assertGreater(second.message.duration_nanos, first.message.duration_nanos)

    def test_no_call_is_missed_while_nobody_asks(self):
        self.start()
        self.do("call 1 server /a.B/C")
        for _ in range(10): # 20 times what the ring holds
            self.do("call 32768 server /a.B/C")
            time.sleep(0.05)
        profile = self.profile("/debug/pprof/rpc")
        missed = sum(int(c.split()[1]) for c in profile.comments if c.startswith("unaggregated"))
        self.assertEqual(profile.calls() + missed, 10 * 32768 + 1)

    def test_window(self):
        self.start()
        self.do("call 10 server /a.B/Before")
        answer = self.later(self.profile, "/debug/pprof/profile?seconds=0.5")
        self.wait_for(windows=1)
        self.do("call 20 server /a.B/Within")
        profile = answer.result()
        self.do("call 30 server /a.B/After")
        self.assertEqual((profile.calls(), profile.calls("server;/a.B/Within")), (20, 20))
        self.assertGreaterEqual(profile.message.duration_nanos, 5e8)
        self.wait_for(windows=0, under_way=0)

    def test_seconds(self):
        self.start("seconds_max=1")
        texts = ("0.05", "5e-2", "1e-02", ".1", "1e+06", "1e%2B06", "30")
        answers = [self.later(self.profile, "/debug/pprof/rpc?seconds=" + text) for text in texts]
        for text, answer in zip(texts, answers):
            with self.subTest(text):
                profile = answer.result()
                wanted = min(float(text.replace("%2B", "+")), 1)
                self.assertGreaterEqual(profile.message.duration_nanos, wanted * 1e9)
                self.assertEqual(profile.calls(), 0)
        self.assertGreaterEqual(
            self.profile("/debug/pprof/profile?_seconds=0.2").message.duration_nanos, 2e8)
        for text in ("0", "-1", "x", "", "nan", "inf", "0x10", "1s", "1,5", "1e999", "9" * 40):
            with self.subTest(text):
                self.refused(self.ask("/debug/pprof/rpc?seconds=" + text), 400, "seconds:")

    def test_scrapers_disturb_nobody(self):
        self.start()
        self.do("call 3 server /a.B/C")
        paths = ["/debug/pprof/rpc?seconds=0.6", "/debug/pprof/profile?seconds=0.9",
                 "/debug/pprof/rpc?seconds=1.2"] * 4
        answers = [self.later(self.profile, path) for path in paths]
        self.wait_for(windows=len(paths))
        self.do("call 40 server /a.B/C")
        self.assertEqual(self.profile("/debug/pprof/delta_rpc?consumer=x").calls(), 0)
        self.do("call 2 server /a.B/C")
        self.assertEqual(self.profile("/debug/pprof/rpc").calls(), 45)
        self.assertEqual({answer.result().calls() for answer in answers}, {42})
        self.assertEqual(self.profile("/debug/pprof/delta_rpc?consumer=x").calls(), 2)

    def test_calls_in_flight(self):
        self.start()
        self.assertEqual(self.profile("/debug/pprof/goroutine").stacks, {})
        self.do("begin /a.B/Slow")
        profile = self.profile("/debug/pprof/goroutine")
        self.assertEqual(profile.types, ["goroutine/count"])
        self.assertEqual(profile.stacks, {"server;/a.B/Slow;/queue;/handler": [1]})
        # A part of it is in the profile already, the call itself not before its end.
        stacks = self.profile("/debug/pprof/profile?seconds=0.2").stacks
        self.assertGreaterEqual(stacks["server;/a.B/Slow;/queue;/handler"][2], 2e8)
        self.assertEqual(stacks.get("server;/a.B/Slow", [0])[0], 0)
        self.do("end")
        self.assertEqual(self.profile("/debug/pprof/goroutine").stacks, {})
        self.assertEqual(self.profile("/debug/pprof/rpc").calls("server;/a.B/Slow"), 1)

    def test_last_calls(self):
        self.start()
        self.do("call 150 server /a.B/<script>")
        self.do("begin /a.B/Slow")
        answer = self.ask("/debug/rpcz")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        calls = json.loads(answer.body)["calls"]
        self.assertEqual(len(calls), 101)
        self.assertEqual(len(json.loads(self.ask("/debug/rpcz?last=3").body)["calls"]), 4)
        table = self.ask("/debug/rpcz?last=3&format=table")
        self.assertEqual(table.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertIn("/a.B/<script>", table.body.decode())
        self.do("end")

    def test_last_calls_as_a_page(self):
        self.start()
        self.do("call 150 server /a.B/<script>alert(1)</script>")
        self.do("begin /a.B/Slow")
        browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
        pages = [self.ask("/debug/rpcz?last=7", headers=browser),
                 self.ask("/debug/rpcz?last=7&format=html")]
        for page in pages:
            self.assertEqual(page.status, 200)
            self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
            self.assertEqual(page.headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(page.headers["Cache-Control"], "no-store")
            self.assertEqual(page.headers["Referrer-Policy"], "no-referrer")
            policy = page.headers["Content-Security-Policy"]
            for rule in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
                self.assertIn(rule, policy)
            # What the program says is data, never HTML.
            self.assertNotIn(b"alert(1)", page.body)
            data = re.search(rb'<script type="text/plain" id="data">([A-Za-z0-9+/=]+)</script>', page.body)
            said = json.loads(zlib.decompress(base64.b64decode(data[1])))
            self.assertIn("/a.B/<script>alert(1)</script>", said["names"])
            self.assertEqual(len(said["calls"]["begin"]), 8)
            self.assertEqual(sum(flags >> 1 & 1 for flags in said["calls"]["flags"]), 1)
            self.assertEqual(sum(said["tree"]["calls"]), 7)
            self.assertEqual(said["files"][0]["pid"], self.program.pid)
        self.assertEqual(self.ask("/debug/rpcz?format=json", headers=browser).headers["Content-Type"],
                         "application/json")
        index = self.ask("/debug/pprof/").headers["Content-Security-Policy"]
        self.assertNotIn("unsafe-inline", index)
        for query in ("last=0", "last=1001", "last=x", "last=", "format=xml", "format=html&last=1001"):
            self.refused(self.ask("/debug/rpcz?" + query), 400)
        self.do("end")

    def test_consumers(self):
        self.start()
        a = "/debug/pprof/delta_rpc?consumer=alloy-a"
        self.do("call 5 server /a.B/C")
        self.assertEqual(self.profile(a).calls(), 0) # its first time is its begin
        self.do("call 6 server /a.B/C")
        self.assertEqual(self.profile(a).calls(), 6)
        self.do("call 7 server /a.B/C")
        self.assertEqual(self.profile(a).calls(), 7)
        for path in ("/debug/pprof/delta_rpc", "/debug/pprof/delta_rpc?consumer=",
                     "/debug/pprof/delta_rpc?consumer=a%20b", a + "x" * 60):
            self.refused(self.ask(path), 400, "consumer=NAME")
        self.wait_for(consumers=1)

    def test_idle_consumers_are_forgotten(self):
        self.start("idle_ms=1")
        a, b = ("/debug/pprof/delta_rpc?consumer=" + name for name in ("a", "b"))
        self.do("call 5 server /a.B/C")
        self.profile(a)
        time.sleep(0.01)
        self.profile(b)
        self.wait_for(consumers=1)
        self.do("call 6 server /a.B/C")
        self.assertEqual(self.profile(a).calls(), 0) # it begins anew, nothing twice

    def test_sixteen_consumers(self):
        self.start()
        for i in range(16):
            self.profile(f"/debug/pprof/delta_rpc?consumer=c{i}")
        self.do("call 4 server /a.B/C")
        self.refused(self.ask("/debug/pprof/delta_rpc?consumer=one-more"), 503, "16 consumers")
        for i in range(16):
            self.assertEqual(self.profile(f"/debug/pprof/delta_rpc?consumer=c{i}").calls(), 4)

    def test_a_delta_that_did_not_arrive_comes_again(self):
        self.start("send_ms=300", "sndbuf=1")
        path = "/debug/pprof/delta_rpc?consumer=slow"
        self.profile(path)
        for i in range(700): # so that the answer is more than sockets hold
            self.do(f"call 3 server /a.B/M{i:04}-{os.urandom(40).hex()}")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect(("127.0.0.1", self.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            said = self.wait_for(requests=2, under_way=0)
        self.assertEqual((said["cut"], said["too_slow"]), (1, 1))
        self.do("call 5 server /a.B/M")
        self.assertEqual(self.profile(path).calls(), 2105)
        self.assertEqual(self.profile(path).calls(), 0)

    def test_an_exporter_begins_anew(self):
        self.start()
        self.do("call 5 server /a.B/C")
        self.profile("/debug/pprof/delta_rpc?consumer=x")
        window = self.later(self.ask, "/debug/pprof/profile?seconds=0.5")
        self.wait_for(windows=1)
        self.assertEqual(self.do("exporter"), "0")
        self.do("call 20 server /a.B/C")
        self.refused(window.result(), 503, "exporter")
        profile = self.profile("/debug/pprof/rpc")
        self.assertEqual((profile.calls(), profile.labels), (20, {"side", "rpc_response_status_code"}))
        self.assertEqual(self.profile("/debug/pprof/delta_rpc?consumer=x").calls(), 0)
        self.do("call 3 server /a.B/C")
        self.assertEqual(self.profile("/debug/pprof/delta_rpc?consumer=x").calls(), 3)

    def test_what_is_not_recorded(self):
        self.start()
        for name in ("heap", "allocs", "block", "mutex"):
            self.refused(self.ask("/debug/pprof/" + name), 404, "empty_profiles")
        for path in ("/", "/debug/pprof", "/debug/pprof/threadcreate", "/debug/pprof/profile/x"):
            self.refused(self.ask(path), 404, "Unknown profile")

    def test_waits(self):
        self.start()
        self.do("rates 1 1")
        self.do("wait 50")
        block = self.profile("/debug/pprof/block")
        self.assertEqual(block.types, ["contentions/count", "delay/nanoseconds"])
        self.assertEqual(block.total("contentions/count"), 50)
        self.assertEqual(self.profile("/debug/pprof/mutex").total("contentions/count"), 50)
        for name in ("block", "mutex"):
            window = self.later(self.profile, f"/debug/pprof/{name}?seconds=0.5")
            self.wait_for(windows=1)
            self.do("wait 7")
            self.assertEqual(window.result().total("contentions/count"), 7)
        self.assertEqual(self.profile("/debug/pprof/block").total("contentions/count"), 64)
        self.do("rates 0 0")
        self.refused(self.ask("/debug/pprof/block?seconds=1"), 404, "empty_profiles")

    def test_empty_profiles(self):
        self.start("empty=1")
        for name, types in {"heap": ["alloc_objects/count", "alloc_space/bytes",
                                     "inuse_objects/count", "inuse_space/bytes"],
                            "mutex": ["contentions/count", "delay/nanoseconds"]}.items():
            profile = self.profile("/debug/pprof/" + name)
            self.assertEqual((profile.types, profile.stacks), (types, {}))

    def test_metrics(self):
        self.start()
        self.do("call 50 server /a.B/C")
        answer = self.ask("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        calls = [line for line in answer.body.decode().splitlines()
                 if line.startswith("rpcprof_calls_total{")]
        self.assertEqual(sum(int(line.split()[-1]) for line in calls), 50)
        self.assertIn('rpc_method="a.B/C"', calls[0])

    def test_index(self):
        self.start()
        answer = self.ask("/debug/pprof/")
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        for path in ("profile", "rpc", "delta_rpc", "goroutine"):
            self.assertIn(f'href="/debug/pprof/{path}"', answer.body.decode())

    # The switch.

    def test_off(self):
        self.start()
        self.do("call 5 server /a.B/C")
        self.do("enable 0")
        for path in ("profile?seconds=1", "profile", "rpc?seconds=1"):
            self.refused(self.ask("/debug/pprof/" + path), 503, "on=1", "rpcprof_enable(true)")
        self.assertEqual(self.profile("/debug/pprof/rpc").calls(), 5)
        self.profile("/debug/pprof/goroutine")
        self.assertEqual(self.do("enabled"), "0")

    def test_on_for_a_window(self):
        self.start()
        self.do("enable 0")
        answers = [self.later(self.profile, f"/debug/pprof/profile?seconds={s}&on=1")
                   for s in (0.4, 0.8)]
        self.wait_for(windows=2)
        self.assertEqual(self.do("enabled"), "1")
        self.do("call 9 server /a.B/C")
        self.assertEqual(answers[0].result().calls(), 9)
        self.assertEqual(self.do("enabled"), "1") # for the other
        self.assertEqual(answers[1].result().calls(), 9)
        self.wait_for(windows=0)
        self.assertEqual(self.do("enabled"), "0")
        self.refused(self.ask("/debug/pprof/profile?seconds=1&on=0"), 400, "on:")
        self.refused(self.ask("/debug/pprof/rpc?on=1"), 400, "on=1")

    def test_on_leaves_on_what_was_on(self):
        self.start()
        self.profile("/debug/pprof/profile?seconds=0.1&on=1")
        self.assertEqual(self.do("enabled"), "1")

    def test_a_page_of_another_site_cannot_switch(self):
        self.start()
        self.do("enable 0")
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
            answer = self.ask("/debug/pprof/profile?seconds=0.1&on=1",
                              headers={"Sec-Fetch-Site": site})
            self.assertEqual(answer.status, status, site)
        self.assertEqual(self.do("enabled"), "0")

    # go tool pprof

    def pprof(self, go, *arguments, fails=False):
        run = subprocess.run([go, "tool", "pprof", *arguments], capture_output=True, text=True,
                             timeout=120, env=os.environ | {"PPROF_TMPDIR": HOME.name,
                                                            "GOTOOLCHAIN": "local"})
        self.assertEqual(run.returncode != 0, fails, run.stderr)
        return run.stderr if fails else run.stdout

    def rows(self, text):
        """{name: (flat, cum)} of -top"""
        lines = text[text.index("flat  flat%"):].splitlines()[1:]
        return {" ".join(w[5:]): (w[0], w[3]) for w in (line.split() for line in lines)}

    def test_go_tool_pprof(self):
        gos = {os.path.realpath(go) for go in GOS if go is not None and os.access(go, os.X_OK)}
        self.assertTrue(gos, "no go command: apt-get install golang-go")
        for go in gos:
            with self.subTest(go):
                self.pull_with(go)

    def pull_with(self, go):
        self.start(f"read={READ}")
        self.do("call 123 server /shop.Cart/Put<T>(int)")
        self.do("call 45 client /shop.Cart/Get")
        base = self.url.replace("//", f"//u:{READ}@")
        rpc = base + "/debug/pprof/rpc"
        rows = self.rows(self.pprof(go, "-sample_index=calls", "-top", rpc))
        self.assertEqual(rows, {"/shop.Cart/Put<T>(int)": ("123", "123"), "server": ("0", "123"),
                                "/shop.Cart/Get": ("45", "45"), "client": ("0", "45")})
        rows = self.rows(self.pprof(go, "-sample_index=stages", "-top", rpc))
        self.assertEqual(rows["/handler"], ("168", "168"))
        # No path is /debug/pprof/profile to it.
        window = self.later(self.pprof, go, "-sample_index=calls", "-seconds=1", "-top", base)
        self.wait_for(windows=1)
        self.do("call 7 server /shop.Cart/Get")
        self.assertEqual(self.rows(window.result()),
                         {"/shop.Cart/Get": ("7", "7"), "server": ("0", "7")})
        self.do("enable 0")
        said = self.pprof(go, "-seconds=1", "-top", base, fails=True)
        self.assertIn("server response: 503", said)
        self.assertIn("recording is off: add &on=1", said)
        self.assertIn("no token, or a wrong one", self.pprof(go, "-top", self.url, fails=True))


if __name__ == "__main__":
    unittest.main()
