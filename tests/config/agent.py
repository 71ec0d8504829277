#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent.py AGENT: runs the program of agent.c with environments and files, and looks at what
arrives. Loopback only."""
import errno
import os
import signal
import subprocess
import sys
import unittest

from receiver import ENVIRONMENT, Case

AGENT = sys.argv.pop(1)


class Agent(Case):
    def run_agent(self, *arguments, code=0, **environment):
        run = subprocess.run([AGENT, *arguments], env=ENVIRONMENT | environment,
                             capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, code, run.stderr)
        return run

    def test_variables_of_pyroscope_and_opentelemetry_are_enough(self):
        server = self.serve()
        run = self.run_agent("100", PYROSCOPE_SERVER_ADDRESS=server.url,
                             PYROSCOPE_LABELS="region=north",
                             PYROSCOPE_BASIC_AUTH_USER="u", PYROSCOPE_BASIC_AUTH_PASSWORD="geheim",
                             OTEL_SERVICE_NAME="cart", RPCPROF_LOG="1",
                             OTEL_RESOURCE_ATTRIBUTES="service.version=1.2,k8s.pod.name=cart-0,x=y")
        self.assertEqual(run.stdout, "taken 1 sent 1 uncertain 0\n")
        [request] = server.requests
        self.assertEqual(request.path, "/push.v1.PusherService/Push")
        self.assertEqual(request.headers["Authorization"], "Basic dTpnZWhlaW0=")
        self.assertEqual(request.labels, {
            "__name__": "wall", "service_name": "cart", "region": "north", "service_version": "1.2",
            "k8s_pod_name": "cart-0"})
        self.assertEqual(request.calls(), 100)
        self.assertIn("/shop.Cart/Add", request.strings)
        self.assertNotIn("geheim", run.stderr)

    def test_the_programs_name_is_the_application(self):
        server = self.serve()
        self.run_agent("1", PYROSCOPE_SERVER_ADDRESS=server.url)
        self.assertEqual(server.requests[0].labels["service_name"], "config_agent")

    def test_a_file_with_two_servers_and_a_directory(self):
        first, second = self.serve(), self.serve()
        profiles = os.path.join(self.directory, "profiles")
        path = self.write("agent.yaml", f"""
application: cart
directory: {profiles}
servers:
  - url: {first.url}/prefix
    tenant: team-a
  - url: {second.url}
    protocol: autopgo
""")
        self.run_agent("10", RPCPROF_CONFIG=path)
        self.assertEqual([r.calls() for r in first.requests], [10])
        self.assertEqual(first.requests[0].path, "/prefix/push.v1.PusherService/Push")
        self.assertEqual(first.requests[0].headers["X-Scope-OrgID"], "team-a")
        self.assertEqual([r.path for r in second.requests], ["/api/profile/cart"])
        self.assertEqual([r.calls() for r in second.requests], [10])
        self.assertEqual(len(os.listdir(profiles)), 1)

    def test_a_server_that_is_not_there_does_not_hold_up_the_other(self):
        server = self.serve()
        path = self.write("agent.yaml", f"""
servers:
  - {{url: "http://127.0.0.1:1"}}
  - {{url: "{server.url}"}}
""")
        self.run_agent("10", code=4, RPCPROF_CONFIG=path, AGENT_STOP_MS="1000")
        self.assertEqual([r.calls() for r in server.requests], [10])

    def test_nothing_starts_by_a_file_that_is_wrong(self):
        server = self.serve()
        profiles = os.path.join(self.directory, "profiles")
        path = self.write("agent.yaml", f"directory: {profiles}\nservers:\n- url: {server.url}\n"
                          "  bearer_file: /nowhere\n")
        run = self.run_agent("10", code=1, RPCPROF_CONFIG=path)
        self.assertEqual(run.stderr, f'{path}:4: bearer_file "/nowhere": it cannot be read: '
                         'No such file or directory\n')
        self.assertEqual(server.requests, [])
        self.assertFalse(os.path.exists(profiles))

    def test_without_anything_it_records_and_sends_to_nobody(self):
        self.assertEqual(self.run_agent("10").stdout, "")

    @unittest.skipIf("RPCPROF_TEST_UNDER_TSAN" in os.environ, "TSan takes no such threads")
    def test_a_forked_child_sends_its_own_calls_if_asked(self):
        server = self.serve()
        self.run_agent("7", "fork", PYROSCOPE_SERVER_ADDRESS=server.url, RPCPROF_ON_FORK="restart")
        self.assertEqual([r.calls() for r in server.requests], [7, 7])

    def test_a_forked_child_sends_nothing_else(self):
        server = self.serve()
        self.run_agent("7", "fork", PYROSCOPE_SERVER_ADDRESS=server.url)
        self.assertEqual([r.calls() for r in server.requests], [7])

    def test_a_forked_child_sets_the_parents_label_and_closes_its_window(self):
        server = self.serve()
        self.run_agent("7", "ask", PYROSCOPE_SERVER_ADDRESS=server.url,
                       PYROSCOPE_LABELS="region=north,tier=web", RPCPROF_INTERVAL="1h")
        self.assertEqual([r.calls() for r in server.requests], [7, 7])
        for request in server.requests:
            self.assertEqual(request.labels["region"], "south")
            self.assertEqual(request.labels["tier"], "web")

    def test_a_forked_child_is_told_that_its_parent_is_gone(self):
        server = self.serve()
        run = self.run_agent("7", "orphan", code=-signal.SIGKILL, PYROSCOPE_SERVER_ADDRESS=server.url)
        self.assertEqual(run.stdout, f"flush {-errno.EPIPE}\n")


unittest.main()
