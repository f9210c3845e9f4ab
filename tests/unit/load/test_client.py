"""The load client, run as a program against a server that keeps its own books."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.server import ServerConnection, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Books:
    """What the server saw: request ids in order, and how it is told to behave."""

    port: int = 0
    authority: Path = Path()
    seen: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    connections: set[Any] = field(default_factory=set)
    drop: range = range(0)
    silent: range = range(0)
    refuse: range = range(0)
    close_every: int = 0
    idle_kept: float | None = None
    announced: bool = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    books: Books

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        books = self.books
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/sign-in":
            self._answer(200, b'{"token": "t-1"}')
            return
        self.connection.settimeout(books.idle_kept)
        books.seen.append(self.headers["x-request-id"])
        books.tokens.add(self.headers["authorization"])
        books.connections.add(self.client_address)
        number = len(books.seen)
        if number in books.drop:
            self.close_connection = True
            return
        if number in books.silent:
            time.sleep(3)
        if books.close_every and number % books.close_every == 0:
            self.close_connection = True
        self._answer(503 if number in books.refuse else 200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if self.close_connection and self.books.announced:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that end."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    openssl = shutil.which("openssl")
    assert openssl
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.test"
    )
    files = ["-keyout", str(key), "-out", str(chain)]
    name = ["-addext", "subjectAltName=DNS:shop.test"]
    subprocess.run([openssl, *words.split(), *name, *files], check=True, capture_output=True)
    return chain, key


@pytest.fixture
def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    return made


@pytest.fixture
def books(context: ssl.SSLContext, certificate: tuple[Path, Path]) -> Iterator[Books]:
    kept = Books(authority=certificate[0])
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"books": kept}))
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    kept.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()


def command(books: Books, records: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        *("-m", "changeover.load"),
        *("--address", "127.0.0.1", "--port", str(books.port), "--name", "shop.test"),
        *("--ca", str(books.authority), "--records", str(records)),
        *("--path", "/write", "--sign-in", "/sign-in"),
        *words,
    ]


def run(books: Books, records: Path, *words: str) -> tuple[int, dict[str, Any], list[Any]]:
    ran = subprocess.run(
        command(books, records, *words), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr == ""
    entries = [json.loads(line) for line in records.read_text().splitlines()]
    return ran.returncode, json.loads(ran.stdout), entries


def test_every_request_is_recorded_and_sent_once(books: Books, tmp_path: Path) -> None:
    books.close_every = 7

    code, summary, entries = run(
        books, tmp_path / "r.jsonl", "--rate", "200", "--count", "100", "--connections", "4"
    )

    assert code == 0
    assert (summary["sent"], summary["acknowledged"], summary["failed"]) == (100, 100, 0)
    assert sorted(entry["id"] for entry in entries) == sorted(books.seen)
    assert len(set(books.seen)) == 100
    assert books.tokens == {"Bearer t-1"}
    assert len(books.connections) < 50
    assert all(entry["end"] >= entry["start"] >= entry["due"] - 0.01 for entry in entries)


def test_a_connection_that_was_ended_between_requests_is_not_used(
    books: Books, tmp_path: Path
) -> None:
    books.close_every, books.announced = 2, False

    code, summary, _ = run(
        books, tmp_path / "r.jsonl", "--rate", "2", "--count", "6", "--connections", "1"
    )

    assert (code, summary["acknowledged"]) == (0, 6)
    assert len(books.connections) == 3


def test_a_lost_request_is_a_failure_and_is_not_sent_again(books: Books, tmp_path: Path) -> None:
    books.drop = range(10, 13)
    books.refuse = range(20, 22)

    code, summary, entries = run(books, tmp_path / "r.jsonl", "--rate", "100", "--count", "40")

    assert code == 1
    assert (summary["sent"], summary["acknowledged"], summary["failed"]) == (40, 35, 5)
    assert len(books.seen) == len(set(books.seen)) == 40
    lost = {entry["id"] for entry in entries if "error" in entry}
    assert lost == set(books.seen[9:12])
    assert summary["outcomes"]["503"] == 2


def test_a_silent_answer_ends_at_the_deadline(books: Books, tmp_path: Path) -> None:
    books.silent = range(5, 6)

    code, summary, entries = run(
        books, tmp_path / "r.jsonl", "--rate", "50", "--count", "20", "--timeout", "0.5"
    )

    assert code == 1
    assert summary["outcomes"] == {"200": 19, "no answer within 0.5 s": 1}
    slow = next(entry for entry in entries if "error" in entry)
    assert 0.4 < slow["end"] - slow["start"] < 2


def test_a_stall_shows_in_the_time_of_those_that_waited(books: Books, tmp_path: Path) -> None:
    books.silent = range(3, 4)

    _, summary, _ = run(
        books, tmp_path / "r.jsonl", "--rate", "20", "--count", "10", "--connections", "1"
    )

    assert summary["failed"] == 0
    assert summary["max_ms"] > 2500
    assert summary["p50_ms"] > 1000


def test_a_request_lost_on_an_idle_connection_is_told_with_its_idleness(
    books: Books, tmp_path: Path
) -> None:
    # The third request comes on the kept connection, and the server hangs up instead of answering.
    books.drop = range(3, 4)

    code, summary, entries = run(
        books,
        tmp_path / "r.jsonl",
        *("--rate", "0", "--seconds", "2.5", "--sparse", "1", "--idle", "0.2", "0.4"),
    )

    assert code == 1
    sparse = summary["sparse"]
    assert sparse["sent"] == len(books.seen) == len(entries)
    assert sparse["failed"] == len(sparse["lost"]) == 1
    assert sparse["lost"][0]["id"] == books.seen[2]
    assert 0.2 <= sparse["lost"][0]["idle"] < 1
    # New are the first connection and the one after the loss; every other request was kept waiting.
    assert sparse["on_an_idle_connection"] == sparse["sent"] - 2 == len(entries) - 2
    assert summary["sent"] == summary["failed"] == 0


def test_an_idle_connection_that_was_visibly_ended_costs_nothing(
    books: Books, tmp_path: Path
) -> None:
    books.idle_kept = 0.1

    code, summary, _ = run(
        books,
        tmp_path / "r.jsonl",
        *("--rate", "0", "--seconds", "2", "--sparse", "2", "--idle", "0.4", "0.6"),
    )

    assert code == 0
    assert summary["sparse"]["lost"] == []
    assert summary["sparse"]["sent"] == len(books.seen) >= len(books.connections) > 2
    assert summary["sparse"]["on_an_idle_connection"] == 0


def test_sigterm_ends_it_with_a_summary(books: Books, tmp_path: Path) -> None:
    records = tmp_path / "r.jsonl"
    with subprocess.Popen(
        command(books, records, "--rate", "50", "--seconds", "60"), stdout=subprocess.PIPE
    ) as program:
        deadline = time.monotonic() + 20
        while len(books.seen) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        program.send_signal(signal.SIGTERM)
        said, _ = program.communicate(timeout=20)

    summary = json.loads(said)
    assert summary["failed"] == 0
    assert summary["sent"] == len(books.seen) == len(records.read_text().splitlines())


def closes(connection: ServerConnection) -> None:
    """End the first with a close frame, cut the second, keep the others."""
    count = closes.__dict__.setdefault("count", 0) + 1
    closes.__dict__["count"] = count
    if count == 1:
        connection.close(1001)
    elif count == 2:
        connection.socket.shutdown(2)
    else:
        connection.recv(timeout=30)


def test_websockets_are_held_and_their_ends_told_apart(
    books: Books, context: ssl.SSLContext, tmp_path: Path
) -> None:
    with serve(closes, "127.0.0.1", 0, ssl=context) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        books.port = server.socket.getsockname()[1]
        code, summary, entries = run(
            books,
            tmp_path / "r.jsonl",
            *("--sign-in", "", "--rate", "0", "--seconds", "3", "--websockets", "4"),
        )

    assert code == 0
    assert summary["websockets"] == {
        "opened": 6,
        "held_to_the_end": 4,
        "ended_by_server": {"1001": 1, "no close frame": 1},
    }
    assert sorted(str(entry["close"]) for entry in entries if "close" in entry) == ["1001", "None"]
