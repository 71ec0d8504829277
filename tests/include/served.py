# SPDX-License-Identifier: Apache-2.0
"""HTTP servers that answer as they are told, and protocol buffers by hand. Of the tests that push."""
import collections
import contextlib
import http.server
import socket
import threading
import time

Request = collections.namedtuple("Request", "command path headers body client")


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message, number):
    """The values of a field of a protobuf message."""
    at, found = 0, []

    def read():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 128:
                return value
    while at < len(message):
        tag = read()
        if tag & 7 == 2:
            length = read()
            value, at = message[at:at + length], at + length
        else:
            value = read()
        if tag >> 3 == number:
            found.append(value)
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps each request, and has the server's answer() answer it."""
    protocol_version = "HTTP/1.1"

    def take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(
            Request(self.command, self.path, dict(self.headers), body, self.client_address))
        self.server.answer(self)

    do_GET = do_POST = do_DELETE = take

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()


def serve(test, answer, context=None, handler=Handler):
    """A server, with the requests that came, until the test ends; context: with TLS."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.requests, server.answer = [], answer
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    test.addCleanup(server.server_close)
    test.addCleanup(thread.join)
    test.addCleanup(server.shutdown)
    return server


def say(status, body=b"", content_type="application/proto", **headers):
    def send(handler):
        with contextlib.suppress(OSError):
            handler.send_response(status)
            handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)
    return send


def in_turn(*answers):
    """The last of them for ever."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def later(seconds, answer):
    def wait(handler):
        time.sleep(seconds)
        answer(handler)
    return wait


def refused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
