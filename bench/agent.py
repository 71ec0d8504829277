# SPDX-License-Identifier: Apache-2.0
"""agent.py AGENT SECONDS CALLS_PER_SECOND METHODS: runs bench/agent.c beside a server that takes its profiles,
three consumers and a scraper of metrics, which come every ten seconds, all on loopback."""
import http.server
import os
import subprocess
import sys
import threading
import time
import urllib.request

EVERY_S = 10
PATHS = ["/metrics"] + [f"/debug/pprof/delta_rpc?consumer={name}" for name in "abc"]


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay, as a real server's do

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/proto")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def scrape(url, program):
    while program.poll() is None:
        for path in PATHS:
            try:
                urllib.request.urlopen(url + path, timeout=10).read()
            except OSError:  # it has ended
                return
        time.sleep(EVERY_S)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = os.environ | {"RPCPROF_URL": f"http://127.0.0.1:{server.server_port}",
                            "RPCPROF_PULL": "127.0.0.1:0"}
with subprocess.Popen(sys.argv[1:], env=environment, stdout=subprocess.PIPE, text=True) as program:
    url = program.stdout.readline().split()[1]
    threading.Thread(target=scrape, args=(url, program), daemon=True).start()
    for line in program.stdout:
        print(line, end="", flush=True)
sys.exit(program.returncode)
