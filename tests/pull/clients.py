#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clients.py PULL PROTO_DIRECTORY: pulls from PULL, the program of tests/pull/pull.c, with Python's
HTTP client and with `go tool pprof`, and looks at what comes. Loopback only.
"""
import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import warnings

PULL, PROTO = sys.argv[1:3]
del sys.argv[1:3]
READ, CONTROL = "r" * 32, "c" * 32
GOS = ("/usr/lib/go-1.19/bin/go", "/usr/lib/go/bin/go", shutil.which("go"))
HOME = tempfile.TemporaryDirectory()
subprocess.run(["protoc", "-I", PROTO, "--python_out", HOME.name, "profile.proto"], check=True)
sys.path.insert(0, HOME.name)
import profile_pb2  # noqa: E402


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()


class Profile:
    """What a profile says: totals by sample type, and values by stack, root first."""

    def __init__(self, body):
        self.message = profile_pb2.Profile.FromString(gzip.decompress(body))
        text = self.message.string_table
        functions = {f.id: text[f.name] for f in self.message.function}
        frames = {l.id: functions[l.line[0].function_id] for l in self.message.location}
        self.types = [text[t.type] + "/" + text[t.unit] for t in self.message.sample_type]
        self.period_type = text[self.message.period_type.type]
        self.comments = [text[c] for c in self.message.comment]
        self.stacks, self.labels = {}, set()
        for sample in self.message.sample:
            stack = ";".join(frames[i] for i in reversed(sample.location_id))
            before = self.stacks.get(stack, [0] * len(self.types))
            self.stacks[stack] = [a + b for a, b in zip(before, sample.value)]
            self.labels |= {text[label.key] for label in sample.label}
        assert all(value >= 0 for values in self.stacks.values() for value in values)

    def total(self, name):
        return sum(values[self.types.index(name)] for values in self.stacks.values())

    def calls(self, stack=None):
        return self.stacks.get(stack, [0])[0] if stack else self.total("calls/count")


class Clients(unittest.TestCase):
    def start(self, *options):
        self.program = subprocess.Popen([PULL, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.finish, self.program)
        error, _, self.url = self.program.stdout.readline().strip().partition(" ")
        self.assertEqual(error, "0")
        self.port = urllib.parse.urlsplit(self.url).port

    def finish(self, program):
        program.stdin.close()
        self.assertEqual(program.wait(timeout=60), 0)
        program.stdout.close()

    def do(self, line):
        self.program.stdin.write(line + "\n")
        self.program.stdin.flush()
        return self.program.stdout.readline().strip()

    def stats(self):
        words = self.do("stats").split()
        said = dict(zip(words[::2], words[1::2]))
        return {k: int(v) if v.isdigit() else v for k, v in said.items()}

    def wait_for(self, **wanted):
        """The endpoint counts a moment after its scraper has the last byte."""
        for _ in range(1000):
            said = self.stats()
            if {k: said[k] for k in wanted} == wanted:
                return said
            time.sleep(0.01)
        return self.assertEqual({k: said[k] for k in wanted}, wanted)

    def connect(self, port=None):
        return http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)

    def ask(self, path, method="GET", port=None, headers=None):
        connection = self.connect(port)
        try:
            connection.request(method, path, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def profile(self, path, **kind):
        answer = self.ask(path, **kind)
        self.assertEqual(answer.status, 200, answer.body)
        return Profile(answer.body)

    def refused(self, answer, status, *words):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["X-Go-Pprof"], "1")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        for word in words:
            self.assertIn(word, answer.body.decode())

    def later(self, function, *arguments, **kind):
        pool = concurrent.futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        return pool.submit(function, *arguments, **kind)

    # What comes.

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
        for query in ("last=0", "last=1001", "last=x", "last=", "format=xml"):
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

    # Who may.

    def test_tokens(self):
        self.start(f"read={READ}", f"control={CONTROL}")
        basic = "Basic " + base64.b64encode(f"anybody:{READ}".encode()).decode()
        self.do("call 1 server /a.B/C")
        for said in (None, "Bearer " + "x" * 32, f"Bearer {READ}x", "Bearer", "Basic eDp5",
                     "Basic !", f"Digest {READ}", READ):
            answer = self.ask("/debug/pprof/rpc", headers={"Authorization": said} if said else {})
            self.refused(answer, 401, "Authorization: Bearer")
            self.assertEqual(answer.headers["WWW-Authenticate"], 'Basic realm="rpcprof"')
        self.assertEqual(self.ask("/nothing").status, 401) # not even what there is
        self.assertEqual(self.ask("/healthz").body, b"ok\n")
        for said in (f"Bearer {READ}", f"bearer {CONTROL}", basic):
            self.assertEqual(
                self.profile("/debug/pprof/rpc", headers={"Authorization": said}).calls(), 1)
        self.do("enable 0")
        path = "/debug/pprof/profile?seconds=0.1&on=1"
        self.refused(self.ask(path, headers={"Authorization": f"Bearer {READ}"}), 403, "control")
        self.profile(path, headers={"Authorization": f"Bearer {CONTROL}"})
        self.wait_for(unauthenticated=9, denied=1, refused=10, ok=5)

    def test_host(self):
        self.start("host=pod-7.example", "host2=proxy.example")
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1:80", "127.9.9.9", "[::1]:6060",
                     "pod-7.example", "Proxy.Example:443"):
            self.assertEqual(self.ask("/debug/pprof/rpc", headers={"Host": host}).status, 200, host)
        bad = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1",
               "[::2]", "::1", "[::1", "localhost:x", "pod-7.example.", "a" * 300, "")
        for host in bad:
            self.refused(self.ask("/debug/pprof/rpc", headers={"Host": host}), 403, "Host header")
        self.assertEqual(self.ask("/healthz", headers={"Host": "evil.example"}).status, 200)
        self.wait_for(bad_host=len(bad))

    def test_only_get(self):
        self.start()
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"):
            answer = self.ask("/debug/pprof/rpc", method=method)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET"), method)
        self.assertEqual(self.ask("/healthz", method="HEAD").status, 200)

    def test_tls(self):
        key, cert = (os.path.join(HOME.name, n) for n in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        self.start(f"certificate={cert}", f"key={key}", f"read={READ}", "address=0.0.0.0:0")
        self.assertTrue(self.url.startswith("https://"))
        self.do("call 4 server /a.B/C")
        trusting = ssl.create_default_context(cafile=cert)

        def ask(context, path):
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=60,
                                                     context=context)
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {READ}"})
                return Answer(connection.getresponse())
            finally:
                connection.close()
        self.assertEqual(Profile(ask(trusting, "/debug/pprof/rpc").body).calls(), 4)
        answers = [self.later(ask, trusting, "/debug/pprof/profile?seconds=0.4") for _ in range(3)]
        self.wait_for(windows=3)
        self.do("call 5 server /a.B/C")
        self.assertEqual([Profile(answer.result().body).calls() for answer in answers], [5] * 3)
        old = ssl.create_default_context(cafile=cert)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError):
            ask(old, "/healthz")

    def test_addresses_that_are_not_taken(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        taken = f"address=127.0.0.1:{listener.getsockname()[1]}"
        bad_pem = os.path.join(HOME.name, "bad.pem")
        with open(bad_pem, "w", encoding="ascii") as file:
            file.write("no certificate")
        for error, said, options in (
                (-22, "takes tokens", ["address=0.0.0.0:0"]),
                (-22, "takes TLS", ["address=0.0.0.0:0", f"read={READ}"]),
                (-22, "16 to 256", ["read=short"]),
                (-22, "the same", [f"read={READ}", f"control={READ}"]),
                (-22, "its key", ["certificate=/tmp/x"]),
                (-22, "/nowhere/x", ["certificate=/nowhere/x", "key=/nowhere/y"]),
                (-22, "no HTTPS", [f"certificate={bad_pem}", f"key={bad_pem}"]),
                (-22, "HOST:PORT", ["address=127.0.0.1"]),
                (-22, "HOST:PORT", ["address=[::1]"]),
                (-22, "256", ["connections=257"]),
                (-22, "3600", ["seconds_max=3601"]),
                (-98, "port 0", [taken])):
            run = subprocess.run([PULL, *options], stdin=subprocess.DEVNULL, capture_output=True,
                                 text=True, timeout=60, env=os.environ | {"RPCPROF_LOG": "1"})
            self.assertEqual(run.stdout.split(" ")[0].strip(), str(error), options)
            self.assertIn(said, run.stderr, options)
        self.start("address=0.0.0.0:0", f"read={READ}", "plaintext=1")
        self.assertEqual(self.ask("/debug/pprof/rpc").status, 401)

    # Scrapers that go, and that are slow.

    def test_hang_up_frees_the_window(self):
        self.start()
        self.do("enable 0")
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(b"GET /debug/pprof/profile?seconds=300&on=1 HTTP/1.1\r\n"
                           b"Host: localhost\r\n\r\n")
            self.wait_for(windows=1)
            self.assertEqual(self.do("enabled"), "1")
        self.wait_for(windows=0, under_way=0, connections=0, cut=1)
        self.assertEqual(self.do("enabled"), "0")

    def test_more_than_the_connections_wait(self):
        self.start("connections=2")
        held = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(2)]
        self.wait_for(connections=2)
        answer = self.later(self.ask, "/healthz")
        with self.assertRaises(concurrent.futures.TimeoutError):
            answer.result(timeout=0.3)
        for each in held:
            each.close()
        self.assertEqual(answer.result().status, 200)

    def test_requests_that_do_not_come_to_an_end(self):
        self.start("receive_ms=300")
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            with self.assertRaises(OSError):
                for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 1000:
                    client.sendall(bytes([byte]))
                    time.sleep(0.02)
        self.wait_for(connections=0, too_slow=1)

    def test_requests_that_are_too_large(self):
        self.start("receive_ms=300")
        for head in (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100000 + b"\r\n\r\n",
                     b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123456789",
                     b"\x00\xff\r\n\r\n", b"GET\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port)) as client:
                try:
                    client.sendall(head)
                    self.assertNotIn(b"200 OK", client.recv(1000))
                except ConnectionError:
                    pass
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_a_connection_is_kept(self):
        self.start()
        connection = self.connect()
        for _ in range(20):
            connection.request("GET", "/debug/pprof/rpc?seconds=0.01")
            self.assertEqual(Answer(connection.getresponse()).status, 200)
        self.assertEqual(self.stats()["connections"], 1)
        connection.close()

    # Start, stop, fork.

    def test_start_and_stop(self):
        self.start()
        self.assertEqual(self.do("start"), "-114")
        self.assertEqual(self.do("stop 1000"), "0")
        self.assertEqual(self.do("stop 1000"), "0")
        self.assertEqual(self.stats()["running"], 0)
        with self.assertRaises(ConnectionRefusedError):
            self.ask("/healthz")
        for _ in range(20):
            self.assertEqual((self.do("start"), self.do("stop 1000")), ("0", "0"))
        self.assertEqual(self.do("start"), "0")
        self.port = urllib.parse.urlsplit(self.stats()["url"]).port
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_stop_tells_who_waits(self):
        self.start()
        self.do("enable 0")
        answers = [self.later(self.ask, "/debug/pprof/profile?seconds=300&on=1") for _ in range(5)]
        self.wait_for(windows=5)
        self.assertEqual(self.do("stop 10000"), "0")
        for answer in answers:
            self.refused(answer.result(), 503, "ends")
        self.assertEqual(self.do("enabled"), "0")
        said = self.stats()
        self.assertEqual((said["requests"], said["refused"], said["under_way"]), (5, 5, 0))

    def test_stop_in_no_time(self):
        self.start()
        answers = [self.later(self.ask, "/debug/pprof/profile?seconds=300") for _ in range(5)]
        self.wait_for(windows=5)
        self.assertIn(self.do("stop 0"), ("0", "-110"))
        for answer in answers:
            try:
                self.refused(answer.result(), 503)
            except (http.client.HTTPException, OSError):
                pass # it was cut off
        said = self.stats()
        self.assertEqual((said["refused"] + said["cut"], said["connections"]), (5, 0))

    def sockets(self, pid):
        links = set()
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            links |= {link} if link.startswith("socket:") else set()
        return links

    def test_fork(self):
        self.start()
        kept = self.connect()
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        window = self.later(self.profile, "/debug/pprof/profile?seconds=1")
        self.wait_for(windows=1)
        pid, error, url = self.do("fork").split()
        self.assertEqual(error, "0")
        self.assertEqual(self.sockets(pid) & self.sockets(self.program.pid), set())
        self.do("call 6 server /a.B/C")
        if url != "none":
            of_child = self.profile("/debug/pprof/rpc", port=urllib.parse.urlsplit(url).port)
            self.assertEqual(of_child.calls(), of_child.calls("server;/child.Only/Call"))
            self.assertEqual(of_child.calls(), 3)
        profile = window.result() # the parent's go on
        self.assertEqual((profile.calls(), profile.calls("server;/a.B/C")), (6, 6))
        kept.request("GET", "/healthz")
        self.assertEqual(kept.getresponse().read(), b"ok\n")
        kept.close()
        self.wait_for(connections=0) # it was not the child that kept it open
        self.assertEqual(self.do("join"), "0")
        self.assertEqual(self.ask("/healthz").status, 200)

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
