#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""strangers.py PULL PROTO_DIRECTORY: who may pull from PULL, the program of tests/pull/pull.c, what
becomes of those that are slow or go, and of all when it stops or forks. Loopback only.
"""
import base64
import concurrent.futures
import http.client
import os
import socket
import ssl
import subprocess
import time
import unittest
import urllib.parse
import warnings

from puller import HOME, PULL, READ, Answer, Profile, Puller

CONTROL = "c" * 32


class Strangers(Puller):
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


if __name__ == "__main__":
    unittest.main()
