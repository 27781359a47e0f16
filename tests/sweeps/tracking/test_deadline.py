"""Servers that answer without end, byte after byte: a real socket, asked by `sync`, `best` and `check`."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.tracking import best_from_mlflow, check, sync
from sweeps.tracking.deadline import TooSlow, request_limit_s, within
from tests.sweeps.tracking.stored_sweep import new_sweep

pytestmark = pytest.mark.slow


class Dripping(http.server.BaseHTTPRequestHandler):
    """Promises a long answer and sends a byte of it now and then; ``/health`` is answered at once where told so."""

    healthy = False
    over = threading.Event()

    def do_GET(self) -> None:
        if self.healthy and self.path.endswith("/health"):
            self.send_response(200)
            self.end_headers()
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n")
        try:
            while not self.over.wait(0.2):
                self.wfile.write(b"x-more: y\r\n")
        except OSError:
            pass

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def dripping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    handler = type("Handler", (Dripping,), {"healthy": request.param, "over": threading.Event()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    handler.over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("dripping", [True], indirect=True)
def test_an_interface_that_answers_without_end_is_one_line_in_sync_and_best(dripping: str, tmp_path: Path) -> None:
    made = new_sweep(tmp_path)
    made.complete(0, 0.1)
    report = sync(made.url, dripping)
    assert (report.delivered, report.failed) == (0, 2)
    assert "did not come to the end of its answer" in str(report.error)
    with pytest.raises(InputError, match=r"did not come to the end of its answer within .*asks the store instead"):
        best_from_mlflow(dripping, "conv2")
    assert made.pending() == 2


@pytest.mark.slow
@pytest.mark.parametrize("dripping", [False], indirect=True)
def test_a_server_that_answers_without_end_is_one_line_in_sync_and_check(dripping: str, tmp_path: Path) -> None:
    made = new_sweep(tmp_path)
    for said in (str(sync(made.url, dripping).error), check(dripping).reason):
        assert said.startswith(f"no MLflow at {dripping}: it did not come to the end of its answer within 3 s")


def test_a_call_returns_raises_or_is_given_up() -> None:
    assert within(5.0, "it", lambda: 3) == 3
    with pytest.raises(KeyError, match="inner"):
        within(5.0, "it", lambda: {}["inner"])
    over = threading.Event()
    with pytest.raises(TooSlow, match=r"^the server did not come to the end of its answer within 0\.05 s$"):
        within(0.05, "the server", lambda: over.wait(60))
    over.set()


def test_the_limit_follows_the_users_own_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    assert request_limit_s() == 30.0
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    assert request_limit_s() == 180.0
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon")
    assert request_limit_s() == 30.0


def test_a_server_that_speaks_no_http_is_one_line() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        status = check(f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert not status.reachable
    assert status.reason.startswith("no MLflow at http://127.0.0.1:")


@pytest.mark.parametrize("uri", ["http://host:port", "http://host:99999", "http://:5000"])
def test_an_address_without_a_host_or_with_an_impossible_port_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="has no host, or a port that is no number"):
        best_from_mlflow(uri, "conv2")
