#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""servers.py PUSH: pushes to servers that fail in one way each, and looks at what is counted.

PUSH is the program of tests/push/push.c. Loopback only.
"""
import gzip
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent import futures

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../include"))
from served import Handler, field, in_turn, later, refused_port, say, serve  # noqa: E402

PUSH = sys.argv.pop(1)
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def profile(frame=b"frame"):
    """One sample of 7 nanoseconds."""
    texts = [b"", b"wall", b"nanoseconds", frame]
    wall = field(1, 1) + field(2, 2)
    return gzip.compress(
        field(1, wall) + field(2, field(1, 1) + field(2, 7)) + field(4, field(1, 1) + field(4, field(1, 1)))
        + field(5, field(1, 1) + field(2, 3)) + b"".join(field(6, t) for t in texts)
        + field(9, int(time.time() * 1e9)) + field(11, wall) + field(12, 1))


def raw(text):
    """Writes this and hangs up."""
    def send(handler):
        handler.wfile.write(text)
        handler.close_connection = True
    return send


def drip(handler):
    handler.send_response(500)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


def stall(handler):
    """Takes a connection, and then nothing: neither reads nor writes."""
    time.sleep(3)
    handler.close_connection = True


class Unread(Handler):
    """Hangs up in the middle of the first request's body."""
    def do_POST(self):
        if self.server.requests:
            self.take()
            return
        self.server.requests.append(self.rfile.read(10))
        # Closed with bytes unread: the other side gets a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class Servers(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.profile = self.write("profile.pb.gz", profile())

    def write(self, name, content):
        path = os.path.join(self.directory.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def serve(self, answer, context=None, handler=Handler):
        self.server = serve(self, answer, context, handler)
        return "http%s://localhost:%d" % ("s" if context else "", self.server.server_port)

    def push(self, url, *options, protocol=0, environment=None):
        run = subprocess.run([PUSH, "file", url, str(protocol), self.profile, *options],
                             env=ENVIRONMENT | (environment or {"RPCPROF_LOG": "1"}),
                             capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.log = run.stderr
        return self.read(run.stdout)

    @staticmethod
    def read(out):
        said = dict(line.split(" ", 1) for line in out.splitlines())
        return {k: int(v) if v.isdigit() else v for k, v in said.items()}

    def expect(self, said, **wanted):
        self.assertEqual({k: said[k] for k in wanted}, wanted, said)

    def test_what_a_request_is(self):
        url = self.serve(say(200)) + "/prefix/"
        said = self.push(url, "tenant=team-a", "header=X-More: 1", "application=echo")
        self.expect(said, sent=1, retried=0)
        _, path, headers, body, _ = self.server.requests[0]
        self.assertEqual(path, "/prefix/push.v1.PusherService/Push")
        self.assertEqual(headers["Content-Type"], "application/proto")
        self.assertEqual((headers["X-Scope-OrgID"], headers["X-More"]), ("team-a", "1"))
        labels = [("__name__", "peer"), ("service_name", "echo"), ("region", "north"),
                  ("version", "1.2.3")]
        with open(self.profile, "rb") as file:
            series = b"".join(field(1, field(1, n.encode()) + field(2, v.encode()))
                              for n, v in labels) + field(2, field(1, file.read()))
        self.assertEqual(body, field(1, series))

    def test_connection_is_kept(self):
        said = self.push(self.serve(say(200)), "count=5")
        self.expect(said, sent=5)
        self.assertEqual(len({request.client for request in self.server.requests}), 1)

    def test_busy_servers_are_asked_again(self):
        busy = [say(s, b'{"code":"x","message":"slow down"}', "application/json")
                for s in (408, 429, 500, 503)]
        exhausted = say(422, b'{"message":"resource_exhausted: push rate limit"}')
        said = self.push(self.serve(in_turn(*busy, exhausted, say(200))))
        self.expect(said, sent=1, retried=5)

    def test_retry_after_is_honoured(self):
        said = self.push(self.serve(say(503, Retry_After="3600")), "flush_ms=1500")
        self.expect(said, sent=0, retried=1, queued=1)

    def test_429_for_ever_loses_the_oldest(self):
        said = self.push(self.serve(say(429)), "count=50", "queue_sessions=10",
                         "flush_ms=500")
        self.expect(said, sent=0, queued=10, dropped_full=40, last_status=429)

    def test_refusals_are_final_and_say_why(self):
        for status in (400, 401, 403, 404, 413, 422, 501):
            with self.subTest(status):
                said = self.push(self.serve(say(
                    status, b'{"code":"c","message":"because of\\nthis"}', "application/json")))
                self.expect(said, sent=0, dropped_refused=1, retried=0, last_status=status,
                            last_error=f"refused: HTTP {status}: because of this")

    def test_redirects_are_not_followed(self):
        url = self.serve(say(307, Location="/elsewhere"))
        said = self.push(url, "basic_user=u", "basic_password=secret")
        self.expect(said, dropped_refused=1, last_status=307)
        self.assertEqual(len(self.server.requests), 1)

    def test_what_answers_but_is_no_pyroscope(self):
        said = self.push(self.serve(say(200, b"<html>hello</html>", "text/html")))
        self.expect(said, sent=0, dropped_refused=1)
        self.assertIn("text/html", said["last_error"])

    def test_uncertain_ones_are_not_sent_again(self):
        for name, text in {"closed": b"", "garbage": b"\x00\xff garbage\r\n\r\n",
                           "half": b"HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\n"
                                   b"Content-Length: 9\r\n\r\n1"}.items():
            with self.subTest(name):
                said = self.push(self.serve(raw(text)))
                self.expect(said, sent=0, dropped_uncertain=1, retried=0)

    def test_uncertain_ones_are_sent_again_if_asked(self):
        url = self.serve(in_turn(raw(b""), say(200)))
        self.expect(self.push(url, "uncertain=1"), sent=1, retried=1)

    def test_servers_that_never_answer(self):
        said = self.push(self.serve(lambda _: time.sleep(2)), "timeout_ms=200")
        self.expect(said, sent=0, dropped_uncertain=1)

    def test_answers_without_end(self):
        endless = b"HTTP/1.1 500 X\r\n\r\n" + b"x" * (1 << 20)
        said = self.push(self.serve(in_turn(raw(endless), say(200))))
        self.expect(said, sent=1, retried=1)

    def test_answers_a_byte_at_a_time(self):
        said = self.push(self.serve(in_turn(drip, say(200))), "timeout_ms=300")
        self.expect(said, sent=1, retried=1)

    def test_death_in_the_middle_of_a_body(self):
        # More than the buffers of two sockets hold, so that not all of it can have been sent.
        self.profile = self.write("large.pb.gz", profile(os.urandom(4 << 20).hex().encode()))
        url = self.serve(say(200), handler=Unread)
        said = self.push(url, "profile_bytes=100000000", "queue_bytes=60000000")
        self.expect(said, sent=1, retried=1, dropped_uncertain=0)

    def test_gzip_bombs_are_not_unpacked(self):
        bomb = gzip.compress(b"\0" * (128 << 20))
        plain = self.push(self.serve(say(400, b"no")))
        said = self.push(self.serve(say(400, bomb, Content_Encoding="gzip")))
        self.expect(said, dropped_refused=1, last_status=400)
        self.assertLess(len(said["last_error"]), 256)
        self.assertLess(said["peak_kib"] - plain["peak_kib"], 32 << 10)

    def test_recording_goes_on_whatever_the_server_does(self):
        """Windows follow each other without a gap, every call is in one, and each is counted."""
        drops = ("queued", "dropped_full", "dropped_refused", "dropped_uncertain", "sent")
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            urls = {"deaf": f"http://127.0.0.1:{deaf.getsockname()[1]}", "gone": "http://127.0.0.1:9",
                    "nowhere": "http://nowhere.invalid", "stall": self.serve(stall),
                    "drip": self.serve(drip), "busy": self.serve(say(429)),
                    "html": self.serve(say(200, b"<html>", "text/html"))}
            runs = {name: subprocess.Popen(
                        [PUSH, "load", url, "0", "3", "timeout_ms=500", "queue_sessions=4",
                         "flush_ms=0"], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
                    for name, url in urls.items()}
            for name, run in runs.items():
                with self.subTest(name):
                    said = self.read(run.communicate(timeout=60)[0])
                    self.assertEqual((run.returncode, said["gaps"]), (0, 0), said)
                    self.assertEqual(said["calls_in_windows"], said["calls"])
                    self.assertGreaterEqual(said["taken"], 3)
                    self.assertEqual(sum(said[drop] for drop in drops), said["taken"])
                    self.assertNotEqual(said["last_error"], "")
                    self.assertLessEqual(said["queued"], 4)

    def test_nobody_there(self):
        said = self.push("http://127.0.0.1:%d" % refused_port(), "flush_ms=500")
        self.expect(said, sent=0, queued=1, dropped_uncertain=0)
        self.assertGreater(said["retried"], 0)
        said = self.push("http://nowhere.invalid", "flush_ms=500")
        self.expect(said, sent=0, queued=1, dropped_uncertain=0)

    def test_token_is_read_for_every_request(self):
        token = os.path.join(self.directory.name, "token")

        def rotate(handler):
            self.write("token", b"second\n")
            say(200)(handler)
        self.write("token", b"first\n")
        self.push(self.serve(rotate), f"bearer_file={token}", "count=2")
        self.assertEqual([r.headers["Authorization"] for r in self.server.requests],
                         ["Bearer first", "Bearer second"])
        said = self.push(self.serve(say(200)), "bearer_file=/nothing/token", "flush_ms=300")
        self.expect(said, sent=0, queued=1)
        self.assertIn("/nothing/token: No such file", said["last_error"])

    def test_secrets_are_not_logged(self):
        token = self.write("token", b"s3cret-token")
        said = self.push(self.serve(say(401, b"no")), f"bearer_file={token}")
        self.assertIn("unencrypted", self.log)
        self.assertNotIn("s3cret", self.log + said["last_error"])
        said = self.push(self.serve(say(401)), "basic_user=u", "basic_password=s3cret")
        self.assertEqual(self.server.requests[0].headers["Authorization"], "Basic dTpzM2NyZXQ=")
        self.assertNotIn("s3cret", self.log + said["last_error"])

    def certify(self, begin, end):
        """A certificate of localhost, between these days."""
        key, cert, request, config = (os.path.join(self.directory.name, n) for n in (
            "key.pem", "cert.pem", "request.pem", "config"))
        self.write("index", b"")
        self.write("config", b"[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=.\n"
                             b"rand_serial=yes\ndefault_md=sha256\npolicy=any\n"
                             b"x509_extensions=name\n[any]\ncommonName=supplied\n"
                             b"[name]\nsubjectAltName=DNS:localhost\n")

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True,
                           cwd=self.directory.name)
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-selfsign", "-config", config, "-keyfile", key, "-in", request,
                "-out", cert, "-startdate", begin + "000000Z", "-enddate", end + "000000Z")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return cert, context

    def test_forks_do_not_disturb_a_connection(self):
        cert, context = self.certify("20200101", "21000101")
        url = self.serve(later(0.02, say(200)), context)
        # A child's search for leaks would wait for the allocator's locks of a thread it has not.
        leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        # 100 children, each in the middle of a send, with a copy of the connection and of its TLS.
        said = self.push(url, f"ca_file={cert}", "count=100", "forks=1", environment=leaks)
        self.expect(said, sent=100, retried=0)
        self.assertEqual(len({request.client for request in self.server.requests}), 1)

    def test_expired_certificates_are_refused(self):
        cert, context = self.certify("20200101", "20200102")
        said = self.push(self.serve(say(200), context), f"ca_file={cert}", "flush_ms=300")
        self.expect(said, sent=0, queued=1)
        self.assertIn("certificate has expired", said["last_error"])
        self.assertEqual(self.server.requests, [])

    def test_certificates_are_verified(self):
        cert, context = self.certify("20200101", "21000101")
        url = self.serve(say(200), context)
        self.expect(self.push(url, f"ca_file={cert}"), sent=1)
        self.server.requests.clear()
        for wrong, options in ((url, []), (url.replace("localhost", "127.0.0.1"),
                                           [f"ca_file={cert}"])):
            said = self.push(wrong, "flush_ms=500", *options)
            self.expect(said, sent=0, queued=1)
            self.assertIn("certificate", said["last_error"])
        self.assertEqual(self.server.requests, [])

    def test_proxy_of_the_environment(self):
        proxy = self.serve(say(200))
        said = self.push("http://server.invalid", environment={"http_proxy": proxy})
        self.expect(said, sent=1)
        self.assertTrue(self.server.requests[0].path.startswith("http://server.invalid/push.v1"))

    def test_ingest(self):
        self.expect(self.push(self.serve(say(200)), "application=echo", protocol=1), sent=1)
        _, path, _, body, _ = self.server.requests[0]
        self.assertRegex(path, r"^/ingest\?name=echo%7Bregion%3Dnorth%2Cversion%3D1.2.3%7D"
                               r"&from=\d{19}&until=\d{19}&spyName=rpcprof&format=pprof$")
        with open(self.profile, "rb") as file:
            self.assertEqual(body, file.read())

    def test_ingest_form(self):
        self.expect(self.push(self.serve(say(200)), protocol=2), sent=1)
        _, path, headers, body, _ = self.server.requests[0]
        self.assertNotIn("format=", path)
        self.assertTrue(headers["Content-Type"].startswith("multipart/form-data; boundary="))
        self.assertIn(b'name="profile"; filename="profile.pprof"', body)
        self.assertIn(b'{"wall":{"units":"lock_nanoseconds","display-name":"wall",'
                      b'"aggregation":"sum","cumulative":false,"sampled":false}}', body)

    def test_autopgo(self):
        url = self.serve(say(201, b'{"key":"k"}', "application/json"))
        self.expect(self.push(url, "application=echo", protocol=3), sent=1)
        _, path, _, body, _ = self.server.requests[0]
        self.assertEqual(path, "/api/profile/echo")
        with open(self.profile, "rb") as file:
            self.assertEqual(body, file.read())

    def serve_parca(self, *codes):
        """A server of gRPC's own, which answers these in turn, and the last one from then on."""
        calls = []

        def write_raw(request, context):
            calls.append((request, dict(context.invocation_metadata())))
            code = codes[min(len(calls), len(codes)) - 1]
            if code != grpc.StatusCode.OK:
                context.abort(code, "because of\nthis")
            return b""
        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "parca.profilestore.v1alpha1.ProfileStoreService",
            {"WriteRaw": grpc.unary_unary_rpc_method_handler(write_raw)})])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        return f"http://127.0.0.1:{port}", calls

    def test_parca(self):
        url, calls = self.serve_parca(grpc.StatusCode.OK)
        said = self.push(url, "application=echo", f"bearer_file={self.write('t', b'abc')}",
                         "count=3", protocol=4)
        self.expect(said, sent=3, retried=0, last_error="")
        labels = [("__name__", "peer"), ("service_name", "echo"), ("region", "north"),
                  ("version", "1.2.3")]
        with open(self.profile, "rb") as file:
            series = field(1, b"".join(field(1, field(1, n.encode()) + field(2, v.encode()))
                                       for n, v in labels)) + field(2, field(1, file.read()))
        self.assertEqual(calls[0][0], field(2, series) + field(3, 1))
        self.assertEqual(calls[0][1]["authorization"], "Bearer abc")

    def test_status_of_grpc(self):
        code = grpc.StatusCode
        url, calls = self.serve_parca(code.UNAVAILABLE, code.RESOURCE_EXHAUSTED, code.INTERNAL,
                                      code.OK)
        self.expect(self.push(url, protocol=4), sent=1, retried=3)
        for refused, status in (code.INVALID_ARGUMENT, 400), (code.UNAUTHENTICATED, 401), \
                (code.PERMISSION_DENIED, 403), (code.UNIMPLEMENTED, 501):
            with self.subTest(refused):
                url, calls = self.serve_parca(refused)
                said = self.push(url, protocol=4)
                self.expect(said, dropped_refused=1, retried=0, last_status=status,
                            last_error=f"refused: gRPC status {refused.value[0]}: "
                                       "because of this")

    def test_what_speaks_no_grpc(self):
        said = self.push(self.serve(say(200)), "flush_ms=500", protocol=4)
        self.expect(said, sent=0)
        self.assertNotEqual(said["last_error"], "")


if __name__ == "__main__":
    unittest.main()
