#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""prometheus.py PULL EXAMPLES: Prometheus scrapes PULL, the program of tests/pull/pull.c, by the
configuration of EXAMPLES, and has what was called. Loopback only."""
import collections
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

PULL, EXAMPLES = sys.argv[1:3]
del sys.argv[1:3]
TOKEN = "r" * 32
OF_TEN = {"OK": 9, "DEADLINE_EXCEEDED": 1}  # of ten calls of PULL


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Prometheus(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def stop(self, process):
        process.kill()
        process.wait()

    def program(self, *options):
        """The program, and where it is scraped."""
        process = subprocess.Popen([PULL, *options], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self.stop, process)
        self.addCleanup(process.stdin.close)
        error, url = process.stdout.readline().split()
        self.assertEqual(error, "0")
        return process, url.removeprefix("http://")

    def call(self, process, calls):
        """Each method so often on each side, by (side, method)."""
        for (side, method), count in calls.items():
            process.stdin.write(f"call {count} {side} {method}\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "ok\n")

    def scrape(self, target, more=""):
        """A Prometheus by the example's configuration, but for the target and how often."""
        for name in ("prometheus.yaml", "alerts.yaml"):
            shutil.copy(os.path.join(EXAMPLES, name), self.directory)
        path = os.path.join(self.directory, "prometheus.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for old, new in (("scrape_interval: 15s", "scrape_interval: 1s"),
                         ('"localhost:6060"', f'"{target}"'),
                         ("job_name: rpcprof\n", "job_name: rpcprof\n" + more)):
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.url = f"http://127.0.0.1:{free_port()}"
        log = os.path.join(self.directory, "log")
        with open(log, "w", encoding="utf-8") as file:
            server = subprocess.Popen(
                ["prometheus", "--config.file=" + path,
                 "--storage.tsdb.path=" + os.path.join(self.directory, "data"),
                 "--web.listen-address=" + self.url.removeprefix("http://")],
                stdout=file, stderr=file)
        self.addCleanup(self.stop, server)

    def ask(self, path, **parameters):
        """Of its HTTP API; None as long as it is not ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?" +
                                        urllib.parse.urlencode(parameters), timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def await_equal(self, wanted, get):
        for _ in range(300):
            got = get()
            if got == wanted:
                return
            time.sleep(0.1)
        self.assertEqual(got, wanted)

    def samples(self, query, *labels):
        """The values now, by labels."""
        data = self.ask("query", query=query) or {"result": []}
        return {tuple(s["metric"].get(label) for label in labels): int(s["value"][1])
                for s in data["result"]}

    def await_calls(self, calls):
        by_status = {(side, method.removeprefix("/"), status): count * share // 10
                     for (side, method), count in calls.items()
                     for status, share in OF_TEN.items()}
        by_method = {(side, method.removeprefix("/")): count
                     for (side, method), count in calls.items()}
        labels = "side", "rpc_method"
        self.await_equal(by_status, lambda: self.samples("rpcprof_calls_total", *labels,
                                                         "rpc_response_status_code"))
        for name in ("call_duration_seconds_count", 'call_duration_seconds_bucket{le="+Inf"}',
                     'stage_duration_seconds_count{stage="/handler"}'):
            self.await_equal(by_method, lambda n=name: self.samples("rpcprof_" + n, *labels))

    def test_it_has_exactly_the_calls_that_were_made(self):
        process, target = self.program()
        self.scrape(target)
        sent = collections.Counter()
        for _ in range(2):
            calls = {(side, f"/shop.Cart/Method{i}"): 10 * (1 + i % 7)
                     for i in range(200) for side in ("server", "client")}
            self.call(process, calls)
            sent.update(calls)
            self.await_calls(sent)
        with urllib.request.urlopen(f"http://{target}/metrics") as answer:
            checked = subprocess.run(["promtool", "check", "metrics"], input=answer.read(),
                                     capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))
        rules = [r for g in self.ask("rules")["groups"] for r in g["rules"]]
        self.await_equal({"ok"}, lambda: {r["health"] for g in self.ask("rules")["groups"]
                                          for r in g["rules"]})
        self.assertEqual(len(rules), 4)

    def target(self):
        data = self.ask("targets") or {"activeTargets": []}
        return [(t["health"], t["lastError"]) for t in data["activeTargets"]]

    def test_it_shows_its_token(self):
        process, target = self.program("read=" + TOKEN, "plaintext=1")
        calls = {("server", "/shop.Cart/Add"): 10}
        self.call(process, calls)
        self.scrape(target, f"    authorization: {{credentials: {TOKEN}}}\n")
        self.await_calls(calls)

    def test_without_its_token_it_is_refused(self):
        _, target = self.program("read=" + TOKEN, "plaintext=1")
        self.scrape(target)
        self.await_equal([("down", "server returned HTTP status 401 Unauthorized")], self.target)


class Result(unittest.TextTestResult):
    def addSuccess(self, test):
        super().addSuccess(test)
        print("--- PASS", test.id(), flush=True)


unittest.main(testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=0))
