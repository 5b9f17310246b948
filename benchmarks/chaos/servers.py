"""A real MLflow server that can be killed, and a proxy before it that can be made to fail or to dawdle."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Literal

from tests.support.commands import wait_for
from tests.support.grids import store
from tests.support.places import free_port

LAG = 2.0
"""Seconds that each answer takes longer from a slow server."""

OF_THE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
"""Headers that are not passed on."""


class Server:
    """A real MLflow server on a free port of this machine, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self._start()
        wait_for(self.answers, self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self) -> None:
        places = ["--backend-store-uri", store(self.folder), "--artifacts-destination", str(self.folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *places, *address],
            env={**os.environ, **quiet},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self._start()


class Proxy:
    """Passes requests on to a server on this machine, by its mode.

    "through": as they are. "slow": each answer comes `LAG` seconds later. "failing": each answer is 500; every second
    request has been passed on before, as when a gateway gives up on a server that goes on working.
    """

    def __init__(self, port: int) -> None:
        self.mode: Literal["through", "failing", "slow"] = "through"
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._http.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._http.server_port}"
        Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def _handler(proxy: Proxy, port: int) -> type[BaseHTTPRequestHandler]:
    number = count()

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fails = proxy.mode == "failing"
            if not fails or next(number) % 2:
                try:
                    status, headers, content = self._ask(body)
                except (OSError, http.client.HTTPException):  # the server is away: so is this one
                    self.close_connection = True
                    return
            if fails:
                status, headers, content = 500, [], b"out of order"
            elif proxy.mode == "slow":
                time.sleep(LAG)
            self._answer(status, headers, content)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                server.request(self.command, self.path, body, _passed_on(self.headers.items()))
                answer = server.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                server.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in _passed_on(headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    return Handler


def _passed_on(headers: object) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in OF_THE_CONNECTION}  # type: ignore[attr-defined]


@contextmanager
def server_at(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def proxy_before(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()
