#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py RPCPROF CORE LABEL: a program that knows nothing of rpcprof, under `rpcprof run`, pushes if its
environment says where to. Loopback only."""
import errno
import json
import os
import subprocess
import sys
import time
import unittest

from receiver import ENVIRONMENT, Case

RPCPROF, CORE, LABEL = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
SEVEN = 7  # what CORE ends with


class Run(Case):
    def start(self, calls, *before, **environment):
        """A server under `before`; its process and port."""
        environment = ENVIRONMENT | {"XDG_RUNTIME_DIR": self.directory} | environment
        process = subprocess.Popen([*before, CORE, "serve", str(calls)], env=environment, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.directory)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process, process.stdout.readline().strip()

    def call(self, port, calls):
        run = subprocess.run([CORE, "call", port, str(calls), "next"], env=ENVIRONMENT, timeout=60)
        self.assertEqual(run.returncode, SEVEN)

    def end(self, process):
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, SEVEN, said)
        return said

    def libraries(self, process):
        with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
            return maps.read()

    def test_it_sends_what_is_left_when_the_program_ends(self):
        server = self.serve()
        process, port = self.start(20, RPCPROF, "run", "--", PYROSCOPE_SERVER_ADDRESS=server.url,
                                   PYROSCOPE_LABELS="region=north")
        self.call(port, 20)
        self.assertEqual(self.end(process), "")
        self.assertEqual(sum(r.calls() for r in server.requests), 20)
        self.assertEqual(server.requests[0].labels["service_name"], "programs_core")
        self.assertEqual(server.requests[0].labels["region"], "north")

    def test_its_status_shows_the_server(self):
        server = self.serve()
        process, port = self.start(21, RPCPROF, "run", "--", RPCPROF_URL=server.url,
                                   RPCPROF_INTERVAL="1s", RPCPROF_JITTER="1ms")
        self.call(port, 20)
        while not server.requests:
            time.sleep(0.05)
        environment = ENVIRONMENT | {"XDG_RUNTIME_DIR": self.directory}
        command = [RPCPROF, "status", "--address", str(process.pid)]
        said = json.loads(subprocess.run([*command, "--json"], env=environment, check=True,
                                         capture_output=True, text=True).stdout)
        text = subprocess.run(command, env=environment, check=True, capture_output=True,
                              text=True).stdout
        self.assertTrue(said["exporter"]["running"])
        [push] = said["pushes"]
        self.assertEqual(push["url"], server.url)
        self.assertGreaterEqual(push["taken"], 1)
        self.assertIn("push        " + server.url, text)
        self.assertIn("exporter    on", text)
        self.call(port, 1)
        self.end(process)

    def test_its_status_shows_what_the_server_said(self):
        process, port = self.start(2, RPCPROF, "run", "--", RPCPROF_INTERVAL="1s",
                                   RPCPROF_JITTER="1ms", RPCPROF_URL="http://127.0.0.1:1",
                                   RPCPROF_STOP_TIMEOUT="1ms")
        self.call(port, 1)
        environment = ENVIRONMENT | {"XDG_RUNTIME_DIR": self.directory}
        push = {"last_error": ""}
        while push["last_error"] == "":
            time.sleep(0.05)
            [push] = json.loads(subprocess.run(
                [RPCPROF, "status", "--json", "--address", str(process.pid)], env=environment,
                check=True, capture_output=True, text=True).stdout)["pushes"]
        self.assertIn("not sent, to be tried again: ", push["last_error"])
        self.assertGreater(push["last_failure_utc_ns"], 0)
        self.call(port, 1)
        self.end(process)

    def test_its_children_set_labels_of_its_pushes(self):
        for where, answer in (({"RPCPROF_URL": "http://127.0.0.1:1"}, f"0 {-errno.EINVAL}"),
                              ({"RPCPROF_DIRECTORY": "."}, f"{-errno.ENOENT} {-errno.ENOENT}")):
            said = subprocess.run([RPCPROF, "run", "--", LABEL], capture_output=True, text=True,
                                  env=ENVIRONMENT | where | {"XDG_RUNTIME_DIR": self.directory},
                                  cwd=self.directory, timeout=60, check=True)
            self.assertEqual((said.stdout, said.stderr), (answer, ""))

    def test_unasked_it_loads_no_library_for_that(self):
        process, port = self.start(2, RPCPROF, "run", "--")
        self.call(port, 1)
        self.assertNotIn("libcurl", self.libraries(process))
        self.call(port, 1)
        self.end(process)

    def test_a_mistake_is_said_and_the_program_goes_on(self):
        process, port = self.start(3, RPCPROF, "run", "-o", "calls.jsonl", "--",
                                   RPCPROF_INTERVAL="soon")
        self.call(port, 3)
        self.assertEqual(self.end(process), 'rpcprof: profiles are not sent: RPCPROF_INTERVAL: '
                         'interval "soon": write a whole number and ms, s, m or h, as in 10s\n')
        self.assertTrue(os.path.exists(os.path.join(self.directory, "calls.jsonl")))


unittest.main()
