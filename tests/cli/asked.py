# SPDX-License-Identifier: Apache-2.0
"""The command, run in a folder of files, against servers that answer as they are told. Used by
web.py and terminal.py, with their arguments."""
import glob
import gzip
import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../include"))
from served import field, serve, varint  # noqa: E402

RPCPROF, FILES = sys.argv.pop(1), sys.argv.pop(1)
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
ENVIRONMENT.update(LC_ALL="C", TERM="xterm")
FOLDER = tempfile.TemporaryDirectory()
subprocess.run([FILES, FOLDER.name], check=True)
os.chdir(FOLDER.name)


def profile(samples=1, program=b"/usr/bin/shop", types=((b"cpu", b"nanoseconds"),), time_s=None):
    """A profile as others write them: samples of 7 in as many functions."""
    texts = [b"", program] + [t for pair in types for t in pair]
    kinds = [field(1, 2 + 2 * i) + field(2, 3 + 2 * i) for i in range(len(types))]
    out = [field(1, kind) for kind in kinds] + [field(3, field(1, 1) + field(5, 1))]
    for i in range(1, samples + 1):
        out += [field(2, field(1, i) + field(2, varint(7) * len(types))),
                field(4, field(1, i) + field(2, 1) + field(4, field(1, i))),
                field(5, field(1, i) + field(2, len(texts)))]
        texts.append(b"function%d" % i)
    seconds = time.time() if time_s is None else time_s
    out += [field(9, int(seconds * 1e9)), field(10, 10**9), field(11, kinds[-1]), field(12, 1)]
    return gzip.compress(b"".join(out + [field(6, text) for text in texts]), 1)


class Web(unittest.TestCase):
    def serve(self, answer):
        server = serve(self, answer)
        return server, "http://127.0.0.1:%d" % server.server_port

    def setUp(self):
        for name in glob.glob("out*"):
            os.remove(name)

    def tearDown(self):
        self.assertEqual(glob.glob("*.??????"), [], "a file was left half written")

    def write(self, name, content):
        with open(name, "wb") as file:
            file.write(content)
        return name

    def read(self, name):
        with open(name, "rb") as file:
            return file.read()

    def run_it(self, code, *arguments, shows=()):
        """Runs the command; what it says is one line for each thing that is wrong."""
        run = subprocess.run([RPCPROF, *arguments], env=ENVIRONMENT, capture_output=True,
                             stdin=subprocess.DEVNULL, timeout=60)
        self.out, self.err = run.stdout.decode(), run.stderr.decode()
        said = "%s\n%s%s" % (arguments, self.out, self.err)
        self.assertEqual(run.returncode, code, said)
        for text in [shows] if isinstance(shows, str) else shows:
            self.assertIn(text, self.out + self.err)
        self.assertNotIn("\r", self.out + self.err)
        self.assertNotIn("\033", self.out + self.err)
