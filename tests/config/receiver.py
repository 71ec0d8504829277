# SPDX-License-Identifier: Apache-2.0
"""A receiver of pushed profiles, and what a request says. Of the tests of this folder."""
import gzip
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../include"))
from served import Handler, fields, say, serve  # noqa: E402

# Nothing of this machine's.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")
               and not k.startswith(("RPCPROF_", "PYROSCOPE_", "OTEL_"))}


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers = path, headers
        if path.endswith("/push.v1.PusherService/Push"):
            series = fields(body, 1)[0]
            self.labels = dict([fields(pair, i)[0].decode() for i in (1, 2)]
                               for pair in fields(series, 1))
            body = fields(fields(series, 2)[0], 1)[0]
        self.profile = gzip.decompress(body)
        self.strings = [text.decode() for text in fields(self.profile, 6)]

    def calls(self):
        """The sum of the first value of all samples."""
        total = 0
        for sample in fields(self.profile, 2):
            first = 0
            for i, byte in enumerate(fields(sample, 2)[0]):
                first |= (byte & 127) << 7 * i
                if byte < 128:
                    break
            total += first
        return total


class Receiver(Handler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Request(self.path, dict(self.headers), body))
        self.server.answer(self)


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def serve(self):
        server = serve(self, say(200), handler=Receiver)
        server.url = "http://localhost:%d" % server.server_port
        return server

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
