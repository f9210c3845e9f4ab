"""No value of an environment gets into the host's journal, its answers or its progress."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from socketserver import StreamRequestHandler
from typing import TYPE_CHECKING

import pytest

from changeover.agent.colour import environment_file, masking, processes
from changeover.agent.postgres.words import without_values
from changeover.agent.traffic import nginx, switch

if TYPE_CHECKING:
    from pathlib import Path
    from socketserver import BaseRequestHandler

    from tests.unit.agent.conftest import Machine

PASSWORD = "correct-horse-battery"
SECRET = f"postgres://app:{PASSWORD}@db/x"
ENV = {"DATABASE_URL": SECRET, "LETTER": "first line\nsecond line"}


def text_of(machine: Machine) -> str:
    return (machine.root / "var/lib/changeover/sample/journal.jsonl").read_text()


def pieces(secret: str = PASSWORD) -> list[str]:
    """Return the secret's parts that are long enough to be of use."""
    return [secret[start : start + 8] for start in range(len(secret) - 7)]


def sick(body: bytes) -> type[BaseRequestHandler]:
    """Return an app that answers everything with 503 and this body."""

    class Sick(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            return

    return Sick


class NoHttp(StreamRequestHandler):
    """An app that prints its settings instead of answering."""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(f"{SECRET}\r\n".encode())


def test_values_are_masked_however_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    url = "postgres://app:p%40ssword@db/x"
    values = {"URL": url, "KEY": "line-one\n line-two", "SHORT": "on", "QUOTED": 'pass"wörd&1'}
    environment_file.write(path, values)
    said = [url, "p%40ssword", "p@ssword", " line-two", "line-two", "on and on"]
    said += [json.dumps(values["QUOTED"]), json.dumps(values["QUOTED"], ensure_ascii=False)]
    said += ["?key=pass%22w%C3%B6rd%261", json.dumps({"key": values["KEY"]})]

    found = masking.mask(path, "\n".join(said)).split("\n")

    assert found[:6] == ["[URL]", "[URL]", "[URL]", "[KEY]", "[KEY]", "on and on"]
    assert found[6:] == ['"[QUOTED]"', '"[QUOTED]"', "?key=[QUOTED]", '{"key": "[KEY]"}']


def test_text_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    environment_file.write(path, {"KEY": PASSWORD})

    for longest in range(40):
        found = masking.mask(path, f"---{PASSWORD}---", longest)
        assert found == "---[KEY]---"[:longest]


@pytest.mark.parametrize("content", [None, b"\xff", b"KEY=never-quoted\n"])
def test_what_cannot_be_masked_is_not_shown(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.env"
    if content is not None:
        path.write_bytes(content)

    found = masking.mask(path, "it said never-quoted")

    assert found.startswith("(withheld: ")
    assert "never-quoted" not in found


@pytest.mark.parametrize("before", [0, 190, 480, 1960, 1975, 1990])
def test_a_health_answer_tells_no_secret(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    colour = machine.place("1.0.0", ENV)
    body = b"-" * before + f" no database at {SECRET}\n".encode()
    machine.listen(colour, "http", handler=sick(body))
    machine.do("start", colour=colour, timeout_seconds=5)
    monkeypatch.setattr(switch, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(processes, "PROGRESS_SECONDS", 0)

    lines = machine.request({"action": "switch", "colour": colour})

    assert lines[-1]["error"] == "unhealthy"
    assert lines[-1]["cause"].startswith("http.sock/health: 503")
    assert before > 100 or "[DATABASE_URL]" in lines[-1]["cause"]
    assert "progress" in {line["type"] for line in lines}
    told = json.dumps(lines) + text_of(machine)
    assert [piece for piece in pieces() if piece in told] == []


def test_an_answer_to_a_check_is_not_written_down(machine: Machine) -> None:
    colour = machine.place("1.0.0", ENV)
    machine.listen(colour, "http", handler=sick(f"no database at {SECRET}\n".encode()))

    done = machine.do("smoke", colour=colour, checks=[{"id": "root", "path": f"/?{PASSWORD}"}])

    assert SECRET in done["answers"][0]["body"]
    assert PASSWORD not in text_of(machine)


def test_an_app_that_speaks_no_http_tells_no_secret(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour = machine.place("1.0.0", ENV)
    machine.listen(colour, "http", handler=NoHttp)
    monkeypatch.setattr(switch, "LOOK_SECONDS", 0)

    (check,) = machine.do("smoke", colour=colour, checks=[{"id": "root", "path": "/"}])["answers"]
    health = machine.refuse("switch", colour=colour)

    assert "[DATABASE_URL]" in check["failed"]
    assert "[DATABASE_URL]" in health["cause"]
    assert PASSWORD not in json.dumps([check, health]) + text_of(machine)


def test_objects_of_a_request_are_not_written_down(machine: Machine) -> None:
    machine.refuse("prune", keep=[{"KEY": PASSWORD}])
    machine.refuse("place", digest="0" * 64, enviroment={"KEY": PASSWORD})

    assert PASSWORD not in text_of(machine)


def test_of_nginx_only_its_own_trouble_is_told(machine: Machine) -> None:
    log = machine.root / "var/log/nginx/error.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        "2026/01/01 00:00:00 [emerg] 7#7: bind() to 0.0.0.0:22 failed (98: Address already in use)\n"
        f'2026/01/01 00:00:01 [error] 7#7: *1 refused, request: "GET /?token={PASSWORD} HTTP/1.1"\n'
        f'2026/01/01 00:00:01 [alert] 7#7: *1 odd, request: "GET /?token={PASSWORD} HTTP/1.1"\n'
        * 20
    )

    told = nginx._error_log(machine.root)  # noqa: SLF001

    assert "Address already in use" in told
    assert PASSWORD not in told
    assert len(told.splitlines()) == 15


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            'ERROR:  COPY failed\nCONTEXT:  COPY users, line 3: "7\\tann@x.org\\n\nmore"\nHINT:  no',
            "ERROR:  COPY failed\nCONTEXT:  COPY users, line 3: (…)\nHINT:  no",
        ),
        (
            'CONTEXT:  COPY users, line 3, column email: "ann@x.org"\npg_restore: error: went wrong',
            "CONTEXT:  COPY users, line 3, column email: (…)\npg_restore: error: went wrong",
        ),
        (
            "DETAIL:  Key (email)=(ann@x.org) is duplicated.\nCommand was: CREATE UNIQUE INDEX",
            "DETAIL:  Key (email)= (…)\nCommand was: CREATE UNIQUE INDEX",
        ),
        (
            "DETAIL:  Failing row contains (7, ann@x.org).",
            "DETAIL:  Failing row contains (…)",
        ),
        (
            'ERROR:  invalid input syntax for type integer: "ann@x.org"',
            "ERROR:  invalid input syntax for type integer: (…)",
        ),
        (
            'ERROR:  value "ann@x.org" is out of range for type integer\nHINT:  no',
            "ERROR:  value (…) is out of range for type integer\nHINT:  no",
        ),
        (
            "psql:<stdin>:7: ERROR:  no\nLINE 1: ALTER ROLE x PASSWORD 'ann\n   ^\npsql:<stdin>:8: x",
            "psql:<stdin>:7: ERROR:  no\nLINE 1: ALTER ROLE x PASSWORD  (…)\npsql:<stdin>:8: x",
        ),
        (
            'LINE 1: SELECT x::json;\nDETAIL:  Token "ann" is bad.\nCONTEXT:  JSON data, line 1: {"a": ann',
            "LINE 1: SELECT x::json;\nDETAIL:  Token (…) is bad.\nCONTEXT:  JSON data, line 1: (…)",
        ),
        (
            "ERROR:  canceling statement due to lock timeout",
            "ERROR:  canceling statement due to lock timeout",
        ),
    ],
)
def test_rows_that_postgresql_quotes_are_not_told(said: str, shown: str) -> None:
    assert without_values(said) == shown


def test_a_long_complaint_keeps_its_end_and_no_half_row() -> None:
    said = f"DETAIL:  Key (email)=({'ann@x.org' * 1000}) is duplicated.\nHINT:  {'h' * 3990}"

    assert "ann@x" not in without_values(said)
    assert without_values(said).endswith("h" * 3990)
    assert len(without_values(said)) == 4000
