# SPDX-License-Identifier: Apache-2.0
"""A program that is pulled from, and what it answers. Used by clients.py and strangers.py, with their
arguments."""
import concurrent.futures
import gzip
import http.client
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

PULL, PROTO = sys.argv[1:3]
del sys.argv[1:3]
READ = "r" * 32
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


class Puller(unittest.TestCase):
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
