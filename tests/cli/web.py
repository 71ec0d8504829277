#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""web.py RPCPROF FILES: push, pull and autopgo against servers that answer in every way that one can.
autopgo's answers here are those of its source. Loopback only.
"""
import base64
import contextlib
import gzip
import json
import os
import subprocess
import time
import unittest

from asked import ENVIRONMENT, RPCPROF, Web, profile
from served import fields, in_turn, later, refused_port, say


class Push(Web):
    def labels(self, request):
        series = fields(request.body, 1)[0]
        return [tuple(fields(pair, i)[0].decode() for i in (1, 2)) for pair in fields(series, 1)]

    def pushed(self, request):
        return gzip.decompress(fields(fields(fields(request.body, 1)[0], 2)[0], 1)[0])

    def test_profiles_and_dumps(self):
        server, url = self.serve(say(200))
        self.run_it(0, "push", "--url", url, "--label", "region=north", "--tenant", "team-a",
                    "old.pb.gz", "calls.json", "calls.jsonl")
        self.assertEqual(len(self.out.splitlines()), 3)
        self.assertRegex(self.out, r"(?m)^old\.pb\.gz: sent to %s as shop, wall: \d+ bytes$" % url)
        self.assertEqual([r.path for r in server.requests], ["/push.v1.PusherService/Push"] * 3)
        self.assertEqual(server.requests[0].headers["X-Scope-OrgID"], "team-a")
        self.assertEqual(self.labels(server.requests[0]), [
            ("__name__", "wall"), ("service_name", "shop"), ("region", "north")])
        self.assertEqual(dict(self.labels(server.requests[1]))["service_name"], "cli_files")
        # Both forms of one dump are the same profile, and that which convert makes of it.
        self.assertEqual(self.pushed(server.requests[1]), self.pushed(server.requests[2]))
        self.run_it(0, "convert", "-o", "out.pb.gz", "calls.json")
        self.assertEqual(gzip.decompress(self.read("out.pb.gz")), self.pushed(server.requests[1]))

    def test_standard_input(self):
        server, url = self.serve(say(200))
        run = subprocess.run([RPCPROF, "push", "-u", url, "-"], env=ENVIRONMENT,
                             input=self.read("calls.json"), capture_output=True, timeout=60)
        self.assertEqual((run.returncode, len(server.requests)), (0, 1), run.stderr)

    def test_name_and_application(self):
        server, url = self.serve(say(200))
        for types, name in (((b"cpu", b"ns"),), "process_cpu"), (
                ((b"alloc_objects", b"count"), (b"inuse_space", b"bytes")), "memory"), (
                ((b"contentions", b"count"), (b"delay", b"ns")), "mutex"), (
                ((b"goroutine", b"count"),), "goroutine"):
            self.run_it(0, "push", "-u", url, self.write("out.other", profile(types=types)))
            self.assertEqual(self.labels(server.requests[-1]),
                             [("__name__", name), ("service_name", "shop")])
        self.run_it(0, "push", "-u", url, "--name", "block", "--application", "cart", "out.other")
        self.assertEqual(self.labels(server.requests[-1]),
                         [("__name__", "block"), ("service_name", "cart")])
        self.write("out.other", profile(program=b""))
        self.run_it(1, "push", "-u", url, "out.other", shows="give --application")

    def test_other_protocols(self):
        server, url = self.serve(say(201, b'{"key":"shop/staging/1"}', "application/json"))
        self.run_it(0, "push", "-u", url, "--protocol", "autopgo", "old.pb.gz")
        self.assertEqual(server.requests[-1][:2], ("POST", "/api/profile/shop"))
        self.assertEqual(gzip.decompress(server.requests[-1].body),
                         gzip.decompress(self.read("old.pb.gz")))
        self.run_it(0, "push", "-u", url, "--protocol=ingest", "--label", "a=b=c", "old.pb.gz")
        self.assertRegex(server.requests[-1].path, r"^/ingest\?name=shop%7Ba%3Db%3Dc%7D&from=\d{19}&")
        self.run_it(0, "push", "-u", url, "--protocol=ingest-form", "old.pb.gz")
        self.assertIn("multipart/form-data", server.requests[-1].headers["Content-Type"])
        self.run_it(1, "push", "-u", url, "--protocol=autopgo", "calls.json",
                    shows='no application can be called "cli_files": autopgo takes a-z')

    def test_credentials(self):
        server, url = self.serve(say(200))
        self.write("out.token", b"hunter2\n")
        self.run_it(0, "push", "-u", url, "--token-file", "out.token", "old.pb.gz",
                    shows="unencrypted")
        self.assertEqual(server.requests[-1].headers["Authorization"], "Bearer hunter2")
        self.run_it(0, "push", "-u", url, "--basic", "me:out.token", "old.pb.gz")
        self.assertEqual(server.requests[-1].headers["Authorization"],
                         "Basic " + base64.b64encode(b"me:hunter2").decode())
        self.assertNotIn("hunter2", self.out + self.err)
        count = len(server.requests)
        self.run_it(3, "push", "-u", url, "--token-file", "no.token", "old.pb.gz",
                    shows="no.token: No such file")
        self.run_it(3, "push", "-u", url, "--basic", "me:no.token", "old.pb.gz")
        self.run_it(1, "push", "-u", url, "--basic", "me", "old.pb.gz", shows='not "me"')
        self.assertEqual(len(server.requests), count)

    def test_refused(self):
        server, url = self.serve(in_turn(
            say(422, b'{"code":"unknown","message":"sample types are odd"}', "application/json"),
            say(200)))
        self.run_it(4, "push", "-u", url, "old.pb.gz", "new.pb.gz")
        self.assertEqual(self.err.count("\n"), 1)
        self.assertIn("rpcprof: old.pb.gz: refused: %s: HTTP 422: sample types are odd; " % url, self.err)
        self.assertIn("new.pb.gz: sent to", self.out)  # the others are not its fault
        self.assertEqual(len(server.requests), 2)

    def test_unauthorized(self):
        _, url = self.serve(say(401, b"who are you", "text/plain"))
        self.run_it(4, "push", "-u", url, "old.pb.gz",
                    shows="HTTP 401: who are you; give what it asks for: --token-file or --basic")

    def test_bad_file_among_good_ones(self):
        server, url = self.serve(say(200))
        self.write("out.cut", self.read("old.pb.gz")[:100])
        self.run_it(2, "push", "-u", url, "out.cut", "old.pb.gz", shows="out.cut: byte 100:")
        self.run_it(3, "push", "-u", url, "not-there", "old.pb.gz")
        self.run_it(2, "push", "-u", url, self.write("out.none", profile(samples=0)),
                    shows="out.none: there is nothing in it")
        self.assertEqual(len(server.requests), 2)

    def test_later(self):
        server, url = self.serve(in_turn(say(503), say(200)))
        self.run_it(0, "push", "-u", url, "old.pb.gz")
        self.assertEqual(len(server.requests), 2)

    def test_never(self):
        server, url = self.serve(say(503, b"come back tomorrow", "text/plain"))
        self.run_it(4, "push", "-u", url, "--timeout", "1s", "old.pb.gz", "new.pb.gz", "calls.json")
        self.assertIn("old.pb.gz: not sent: %s: HTTP 503: come back tomorrow; ask again" % url, self.err)
        self.assertIn('not tried: 2 more, from "new.pb.gz" on', self.err)
        self.assertEqual({self.labels(r)[1] for r in server.requests}, {("service_name", "shop")})

    def test_nobody(self):
        url = "http://127.0.0.1:%d" % refused_port()
        self.run_it(4, "push", "-u", url, "--timeout", "1h", "old.pb.gz", "new.pb.gz",
                    shows=("not sent: %s: " % url, "not tried: 1 more"))

    def test_hangs(self):
        _, url = self.serve(later(3, say(200)))
        self.run_it(4, "push", "-u", url, "--timeout", "500ms", "old.pb.gz",
                    shows="old.pb.gz: ")

    def test_parts(self):
        server, url = self.serve(say(200))
        self.write("out.large", profile(samples=40000))
        self.run_it(0, "push", "-u", url, "out.large", shows="bytes in 3 parts")
        self.assertEqual(sum(len(fields(self.pushed(r), 2)) for r in server.requests), 40000)

    def test_part_refused(self):
        _, url = self.serve(in_turn(say(200), say(400, b"too much", "text/plain")))
        self.write("out.large", profile(samples=30000))
        self.run_it(4, "push", "-u", url, "out.large",
                    shows="refused (but for 1 parts of it): %s: HTTP 400: too much" % url)

    def test_now(self):
        server, url = self.serve(say(200))
        self.write("out.old", profile(time_s=1000))
        self.run_it(0, "push", "-u", url, "out.old")
        self.assertEqual(fields(self.pushed(server.requests[0]), 9), [1000 * 10**9])
        self.run_it(0, "push", "-u", url, "--now", "out.old")
        began = fields(self.pushed(server.requests[1]), 9)[0]
        self.assertLess(abs(time.time() - 1 - began / 1e9), 60)

    def test_usage(self):
        for arguments, shows in (
                (["old.pb.gz"], "--url says which server"), (["-u", "http://a"], "no profile or dump"),
                (["-u", "localhost:4040", "old.pb.gz"], '"localhost:4040" is not http://'),
                (["-u", "ftp://a", "old.pb.gz"], '"ftp://a" is not http://'),
                (["-u", "http://me:hunter2@a", "old.pb.gz"], "--basic USER:FILE"),
                (["-u", "http://a?x=y", "old.pb.gz"], "query"),
                (["-u", "http://a", "--protocol=x", "old.pb.gz"], 'not "x"'),
                (["-u", "http://a", "--label=x", "old.pb.gz"], 'NAME=VALUE, not "x"'),
                (["-u", "http://a", "--label=a-b=x", "old.pb.gz"], "label a-b not set"),
                (["-u", "http://a", *["--label=a=%d" % i for i in range(17)], "old.pb.gz"], "16 labels"),
                (["-u", "http://a", "--basic=a:b", "--token-file=c", "old.pb.gz"], "not both"),
                (["-u", "http://a", "--name=a-b", "old.pb.gz"], "profile a-b not sent"),
                (["-u", "http://a", "--protocol=autopgo", "--application=A_b", "old.pb.gz"], "a-z"),
                (["-u", "http://a", "--cert=x", "old.pb.gz"], "--cert and --key"),
                (["-u", "http://a", "--timeout=5", "old.pb.gz"], 'not "5"')):
            self.run_it(1, "push", *arguments, shows=shows)
            self.assertNotIn("hunter2", self.err)


class Pull(Web):
    def test_saves_what_came(self):
        content = self.read("old.pb.gz")
        server, url = self.serve(say(200, content, "application/octet-stream"))
        for asked, arguments, wanted in (
                ("", ["--seconds=1"], "/debug/pprof/profile?seconds=1"), ("/", [], "/debug/pprof/profile"),
                ("/debug/pprof/heap", [], "/debug/pprof/heap"), ("/x?gc=1", ["-s3"], "/x?gc=1&seconds=3")):
            self.run_it(0, "pull", url + asked, "-o", "out.pb.gz", *arguments)
            self.assertEqual(server.requests[-1][:2], ("GET", wanted))
            self.assertEqual(self.read("out.pb.gz"), content)
        run = subprocess.run([RPCPROF, "pull", url, "-o", "-"], env=ENVIRONMENT, capture_output=True,
                             timeout=60)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, content, b""))

    def test_uncompressed(self):
        content = gzip.decompress(self.read("old.pb.gz"))
        _, url = self.serve(say(200, content))
        self.run_it(0, "pull", url, "-o", "out.pb")
        self.assertEqual(self.read("out.pb"), content)

    def test_saves_and_pushes(self):
        source, url = self.serve(say(200, profile()))
        store, to = self.serve(say(200))
        self.write("out.one", b"one\n")
        self.write("out.two", b"two\n")
        self.run_it(0, "pull", url, "-o", "out.pb.gz", "--token-file=out.one", "--push", to,
                    "--push-token-file=out.two", "--label=a=b")
        self.assertIn("sent to %s as shop, process_cpu" % to, self.out)
        self.assertEqual(source.requests[0].headers["Authorization"], "Bearer one")
        self.assertEqual(store.requests[0].headers["Authorization"], "Bearer two")
        self.assertTrue(os.path.exists("out.pb.gz"))
        self.run_it(0, "pull", url, "--push", to, "--protocol=autopgo")
        self.assertEqual(store.requests[1].path, "/api/profile/shop")
        self.run_it(4, "pull", url, "-o", "out.pb.gz", "--push",
                    "http://127.0.0.1:%d" % refused_port(), shows="not sent")

    def test_no_profile(self):
        store, to = self.serve(say(200))
        for body, shows in ((b"<html>hello</html>", "byte"), (b"", "empty"),
                            (profile()[:60], "truncated")):
            _, url = self.serve(say(200, body, "text/html"))
            self.run_it(2, "pull", url, "-o", "out.pb.gz", "--push", to, shows=(url, shows))
            self.assertEqual((os.path.exists("out.pb.gz"), store.requests), (False, []))

    def test_refused(self):
        self.write("out.prior", b"before")
        for status, body, shows in (
                (404, b"404 page not found\n", "HTTP 404: 404 page not found; check the path"),
                (500, b"Could not enable CPU profiling: in use\n", "CPU profiling: in use"),
                (503, b"recording is off\n", "HTTP 503: recording is off; ask again later"),
                (403, b"", "--token-file or --basic")):
            server, url = self.serve(say(status, body, "text/plain; charset=utf-8", X_Go_Pprof="1"))
            self.run_it(4, "pull", url, "-o", "out.prior", shows=shows)
            self.assertEqual(self.err.count("\n"), 1)
            self.assertEqual(len(server.requests), 1)
        self.assertEqual(self.read("out.prior"), b"before")

    def test_redirect(self):
        other, elsewhere = self.serve(say(200, profile()))
        _, url = self.serve(say(302, Location=elsewhere))
        self.write("out.token", b"hunter2")
        self.run_it(4, "pull", url, "-o", "out.pb.gz", "--token-file=out.token",
                    shows="redirects are not followed")
        self.assertEqual(other.requests, [])

    def test_cut_off(self):
        def half(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(profile()[:50])
            handler.close_connection = True
        _, url = self.serve(half)
        self.run_it(4, "pull", url, "-o", "out.pb.gz", shows="%s/debug/pprof/profile: " % url)

    def test_too_large(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(bytes(1 << 20))
        _, url = self.serve(endless)
        self.run_it(4, "pull", url, "-o", "out.pb.gz", shows="more than 64 MiB")

    def test_too_late(self):
        _, url = self.serve(later(3, say(200, profile())))
        self.run_it(4, "pull", url, "-o", "out.pb.gz", "--timeout=300ms", shows="--timeout")
        self.run_it(0, "pull", url, "-o", "out.pb.gz", "--timeout=20s", "--seconds=1")

    def test_usage(self):
        _, url = self.serve(say(200))
        for arguments, shows in (
                ([], "no URL given"), (["http://a"], "-o OUT or --push"), (["http://a", "http://b"], "http://b"),
                (["localhost:6060", "-o", "x"], '"localhost:6060" is not http://'),
                (["http://a:99999", "-o", "x"], "http://a:99999"),
                (["http://a", "-o", "x", "-s", "0"], 'not "0"'),
                (["http://a", "-o", "x", "-s", "1e9"], 'not "1e9"'),
                (["http://a", "-o", "x", "-s", "100000"], "not 100000"),
                (["http://a", "--push", "b"], '"b" is not http://'),
                (["http://a", "--push", url, "--application=a b", "--protocol=ingest"], "/ingest takes")):
            self.run_it(1, "pull", *arguments, shows=shows)


class Autopgo(Web):
    def serve_autopgo(self):
        """What internal/profile/server.go and internal/api/api.go of autopgo 0.9.1 answer."""
        held = {"shop": self.read("old.pb.gz")}

        def error(handler, status, message):
            say(status, json.dumps({"message": message, "code": status}).encode(), "application/json")(handler)

        def answer(handler):
            name = handler.path[len("/api/profile/"):]
            if handler.path == "/api/profile":
                say(200, json.dumps({"profiles": [
                    {"key": key, "size": len(value), "lastModified": "2026-01-02T03:04:05.678Z"}
                    for key, value in held.items()]}).encode(), "application/json")(handler)
            elif name not in held:
                error(handler, 404, "Not Found")
            elif handler.command == "DELETE":
                del held[name]
                say(200, b"{}", "application/json")(handler)
            else:
                say(200, held[name], "application/x-gzip")(handler)
        return self.serve(answer)

    def test_list(self):
        _, url = self.serve_autopgo()
        self.run_it(0, "autopgo", "list", "--url", url + "/")
        size = len(self.read("old.pb.gz"))
        self.assertRegex(self.out.splitlines()[1], r"^ +%d  2026-01-02T03:04:05\.678Z +shop$" % size)
        self.run_it(0, "autopgo", "list", "--json", "--url", url)
        self.assertEqual([p["key"] for p in json.loads(self.out)["profiles"]], ["shop"])

    def test_download(self):
        server, url = self.serve_autopgo()
        self.write("out.token", b"hunter2")
        self.run_it(0, "autopgo", "download", "shop", "-u", url, "-o", "out.pgo",
                    "--token-file=out.token")
        self.assertEqual(self.read("out.pgo"), self.read("old.pb.gz"))
        self.assertEqual(server.requests[0].headers["Authorization"], "Bearer hunter2")
        self.run_it(4, "autopgo", "download", "cart", "-u", url,
                    shows="HTTP 404: Not Found; `rpcprof autopgo list' tells what there is")
        self.assertFalse(os.path.exists("default.pgo"))

    def test_delete(self):
        server, url = self.serve_autopgo()
        self.run_it(0, "autopgo", "delete", "shop", "-u", url, shows="shop: deleted")
        self.assertEqual(server.requests[0][:2], ("DELETE", "/api/profile/shop"))
        self.run_it(4, "autopgo", "delete", "shop", "-u", url, shows="404")
        self.run_it(0, "autopgo", "list", "-u", url)
        self.assertEqual(len(self.out.splitlines()), 1)

    def test_something_else(self):
        for body in (b"<html>", b"{}", b'{"profiles":[{}]}', b'{"profiles":7}', b"[" * 100000):
            _, url = self.serve(say(200, body))
            self.run_it(4, "autopgo", "list", "-u", url, shows=url)
            self.assertEqual(self.out, "")
            self.run_it(2, "autopgo", "download", "shop", "-u", url, "-o", "out.pgo", shows=url)
            self.assertFalse(os.path.exists("out.pgo"))
        _, url = self.serve(say(200, b'{"profiles":[{"key":"a\\u001b[2Jb","size":1}]}'))
        self.run_it(0, "autopgo", "list", "-u", url, shows="a\\x1b[2Jb")

    def test_usage(self):
        for arguments, shows in (
                ([], "no action given"), (["lose", "shop"], 'not "lose"'), (["list"], "--url"),
                (["list", "shop", "-u", "http://a"], '"shop"'), (["download", "-u", "http://a"], "download what"),
                (["delete", "A_b", "-u", "http://a"], '"A_b": autopgo takes a-z'),
                (["delete", "../x", "-u", "http://a"], "autopgo takes a-z"),
                (["delete", "a", "b", "-u", "http://a"], 'not "b"'),
                (["list", "-u", "a"], '"a" is not http://')):
            self.run_it(1, "autopgo", *arguments, shows=shows)


if __name__ == "__main__":
    unittest.main()
