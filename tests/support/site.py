"""A real HTTP server on the loopback that misbehaves on request."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIGNATURE = "signature=5ec2e7"
"""What a signed address ends with; whoever has it may download."""


class Site:
    """One file on a server, and what goes wrong with the next requests."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.tag: str | None = '"one"'
        self.ranges = True
        self.heeds_if_range = True
        self.statuses: list[int] = []
        """Answers of the next requests instead of the file."""
        self.cuts: list[int] = []
        """After how many bytes the next answers break off."""
        self.stall: threading.Event | None = None
        """Instead of breaking off, wait until this is set."""
        self.pause = 0.0
        """Seconds between pieces of 64 KiB."""
        self.moved = 0
        """How many requests are answered with another, signed address."""
        self.pages: dict[str, object] = {}
        """Descriptions in JSON, by path."""
        self.token: str | None = None
        """What a person must send to be told a signed address, as Kaggle does."""
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.root = self.url = ""

    def describe(self, path: str, page: object) -> str:
        """Serve a description and say where."""
        self.pages[path] = page
        return f"{self.root}{path}"


@contextlib.contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run the server while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.root = f"http://127.0.0.1:{server.server_port}"
    site.url = f"{site.root}/files/pictures.zip"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        if site.stall:
            site.stall.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

        def do_POST(self) -> None:
            """Kaggle's client asks like this for a file, and is sent to a signed address."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            site.requests.append(dict(self.headers))
            site.paths.append(self.path)
            if site.statuses:
                self._answer(site.statuses.pop(0))
            elif self.headers.get("Authorization") != site.token:
                self._answer(401)
            else:
                self._answer(302, Location=f"{site.url}?{SIGNATURE}")

        def do_GET(self) -> None:
            site.requests.append(dict(self.headers))
            site.paths.append(self.path)
            if site.statuses:
                self._answer(site.statuses.pop(0))
            elif self.path in site.pages:
                self._answer(200, json.dumps(site.pages[self.path]).encode())
            elif site.moved:
                site.moved -= 1
                self._answer(302, Location=f"{site.url}?{SIGNATURE}")
            else:
                self._send_file()

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _send_file(self) -> None:
            asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
            if site.heeds_if_range and condition and condition != site.tag:
                start = 0
            if start >= len(site.content):
                self._answer(416)
                return
            body = site.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            if site.tag:
                self.send_header("ETag", site.tag)
            if site.ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = site.cuts.pop(0) if site.cuts else len(body)
            with contextlib.suppress(OSError):
                for begin in range(0, cut, 1 << 16):
                    self.wfile.write(body[begin : min(begin + (1 << 16), cut)])
                    self.wfile.flush()
                    time.sleep(site.pause)
                if site.stall and cut < len(body):
                    site.stall.wait(30)

    return Handler
