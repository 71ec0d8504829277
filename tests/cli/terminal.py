#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py RPCPROF FILES: what is seen of push and pull on a terminal. Loopback only."""
import fcntl
import glob
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from asked import ENVIRONMENT, RPCPROF, Web, profile
from served import later, say


class Terminal(Web):
    """What a person sees: the bar is drawn over itself, fits, and is gone in the end."""

    def start(self, columns, *arguments, **options):
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([RPCPROF, *arguments], stderr=follower, env=ENVIRONMENT, **options)
        os.close(follower)
        self.addCleanup(os.close, leader)
        return process, leader

    def read_until(self, leader, wanted=None):
        text = b""
        while wanted is None or not re.search(wanted, text):
            self.assertTrue(select.select([leader], [], [], 60)[0], text)
            try:
                piece = os.read(leader, 4096)
            except OSError:  # nobody has the other end any more
                piece = b""
            text += piece
            if not piece:
                break
        return text

    def frames(self, text):
        return [frame.removesuffix("\x1b[K") for frame in text.decode().split("\r") if frame]

    def test_bar(self):
        _, url = self.serve(later(3, say(200, profile())))
        widths = (132, 60, 24)
        started = [self.start(columns, "pull", url, "-s", "3", "-o", "out.%d" % columns)
                   for columns in widths]
        for columns, (process, leader) in zip(widths, started):
            text = self.read_until(leader)
            self.assertEqual(process.wait(), 0, text)
            frames = self.frames(text)
            self.assertEqual(frames[-1], "", text)  # cleared
            self.assertGreater(len(frames), 3, text)
            shares = [int(re.search(r"(\d+) %", frame)[1]) for frame in frames[:-1]]
            self.assertEqual(shares, sorted(shares))
            for frame in frames[:-1]:
                self.assertLess(len(frame), columns, frame)
                self.assertRegex(frame, r" 0:0\d(, 0:0\d left)?$")
            self.assertRegex(frames[0], r"^http.*  [3-5]\d %  0:01$" if columns == 24 else
                             r"^http.*\[#+\.+\] +[3-5]\d %  0:01, 0:0[12] left$")

    def test_no_share_where_the_end_is_not_known(self):
        _, url = self.serve(later(2, say(200, profile())))
        process, leader = self.start(80, "pull", url + "/a", "-o", "out.pb.gz")
        frames = self.frames(self.read_until(leader))
        self.assertEqual((process.wait(), frames[0], frames[-1]), (0, url + "/a  0:01", ""))

    def test_message_takes_its_place(self):
        _, url = self.serve(later(2, say(500, b"no luck", "text/plain")))
        process, leader = self.start(200, "pull", url, "-s", "2", "-o", "out.pb.gz")
        frames = self.frames(self.read_until(leader))
        self.assertEqual(process.wait(), 4)
        self.assertIn("rpcprof: %s/debug/pprof/profile?seconds=2: HTTP 500: no luck" % url,
                      "".join(frames[-2:]))

    def test_names_do_not_act_on_the_terminal(self):
        _, url = self.serve(later(2, say(200, profile())))
        process, leader = self.start(200, "pull", url + "/\u202e", "-o", "out.pb.gz")
        text = self.read_until(leader)
        process.wait()
        self.assertNotIn("\u202e".encode(), text)

    def test_interrupt(self):
        _, url = self.serve(later(8, say(200, profile())))
        process, leader = self.start(80, "pull", url, "-s", "8", "-o", "out.pb.gz")
        text = self.read_until(leader, rb" left")
        process.send_signal(signal.SIGINT)
        text += self.read_until(leader)
        self.assertEqual(process.wait(), -signal.SIGINT)
        self.assertTrue(text.endswith(b"\r\x1b[K"), text)

    def test_interrupt_leaves_no_file(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process, leader = self.start(80, "convert", "-o", "out.json", "-", stdin=subprocess.PIPE)
            while not glob.glob("out.json.??????"):
                time.sleep(0.01)
            process.send_signal(number)
            self.assertEqual(process.wait(), -number)
            process.stdin.close()
            self.assertEqual(glob.glob("out.json*"), [])

    def test_ignored_signals_stay_so(self):
        process, leader = self.start(80, "convert", "-o", "out.json", "-", stdin=subprocess.PIPE,
                                     preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        while not glob.glob("out.json.??????"):
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(self.read("calls.json"))
        process.stdin.close()
        self.assertEqual(process.wait(), 0)

    def test_nothing_where_nobody_looks(self):
        _, url = self.serve(later(2, say(200, profile())))
        self.run_it(0, "pull", url, "-s", "1", "-o", "out.pb.gz")
        self.assertEqual(self.out + self.err, "")
        dumb, leader = self.start(80, "pull", url, "-s", "1", "-o", "out.pb.gz")
        self.assertEqual(dumb.wait(), 0)


if __name__ == "__main__":
    unittest.main()
