# SPDX-License-Identifier: Apache-2.0
"""A receiver of pushed profiles, and what a request says. Of the tests of this folder."""
import gzip
import http.server
import os
import tempfile
import threading
import unittest

# Nothing of this machine's.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")
               and not k.startswith(("RPCPROF_", "PYROSCOPE_", "OTEL_"))}


def fields(message):
    """Those of a protocol buffer: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = varint()
            yield key >> 3, message[at:at + length]
            at += length


def one(message, number):
    return next(value for n, value in fields(message) if n == number)


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers = path, headers
        if path.endswith("/push.v1.PusherService/Push"):
            series = one(body, 1)
            self.labels = {one(v, 1).decode(): one(v, 2).decode() for n, v in fields(series) if n == 1}
            body = one(one(series, 2), 1)
        self.profile = gzip.decompress(body)
        self.strings = [v.decode() for n, v in fields(self.profile) if n == 6]

    def calls(self):
        """The sum of the first value of all samples."""
        total = 0
        for number, sample in fields(self.profile):
            if number == 2:
                values = one(sample, 2)
                first = 0
                for i, byte in enumerate(values):
                    first |= (byte & 127) << 7 * i
                    if byte < 128:
                        break
                total += first
        return total


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Request(self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Type", "application/proto")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def serve(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.requests = []
        server.url = "http://localhost:%d" % server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return server

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
