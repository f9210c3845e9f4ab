"""The migration helper, as a client runs it, against every version and against a service that is busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.apps.fuzz import on_a_port

from .system import APP, PASSWORD, SMOKE, bring, legacy_token, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Shop

    from .system import System

HELPER = APP / "migration_helper"
SECONDS = 300


def run(command: str, url: str, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migration_helper", command, "--url", url, *words],
        cwd=HELPER,
        env={**os.environ, "VOXFLOW_TOKEN": token, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def asked(system: System, command: str, token: str) -> tuple[int, dict[str, Any]]:
    """Run a command against a version; return its exit code and what it printed."""
    with on_a_port(system.socket) as port:
        done = run(command, f"http://127.0.0.1:{port}", token, "--json")
    assert token not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def codes(found: dict[str, Any]) -> list[str]:
    return [issue["code"] for issue in found["issues"]]


def old_token(system: System) -> str:
    ((user,),) = system.rows(f"SELECT id FROM users WHERE email = '{SMOKE}'")  # noqa: S608
    return legacy_token(user, SMOKE)


def test_1_0_0_has_nothing_to_move_to_yet(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0")

    with serving("1.0.0", shop, cache) as system:
        exit_code, found = asked(system, "check", old_token(system))
        moved, said = asked(system, "migrate", old_token(system))

    assert (exit_code, found["contract"], found["available"]) == (1, "legacy", False)
    assert codes(found) == [
        "TOKEN_OUTDATED",
        "AGENTS_SHAPE",
        "ERROR_FORMAT",
        "RATE_LIMIT_NEW",
        "NOTHING_TO_MIGRATE_TO",
    ]
    assert (moved, "it knows no tenants yet" in said["error"]) == (1, True)


def test_an_account_is_checked_moved_and_checked_again(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    dates = {
        "LEGACY_DEPRECATED_ON": "2026-06-01",
        "LEGACY_REMOVED_ON": "2026-12-01",
        "LEGACY_GUIDE_URL": "https://guide.test/move",
    }

    with serving("2.1.0", shop, cache, **dates) as system:
        token = old_token(system)
        system.ask("POST", "/api/agents", {"name": "mine"}, bearer=token)
        before, found = asked(system, "check", token)
        moved, result = asked(system, "migrate", token)
        again = asked(system, "migrate", token)
        outdated, still = asked(system, "check", token)
        after = asked(system, "check", system.sign_in(SMOKE, PASSWORD))

    deprecated = next(each for each in found["issues"] if each["code"] == "DEPRECATED")
    assert (before, found["contract"], found["available"]) == (1, "legacy", True)
    assert {"TOKEN_OUTDATED", "AGENTS_SHAPE", "RATE_LIMIT_NEW", "LEGACY_CONTRACT"} <= set(
        codes(found)
    )
    assert deprecated["message"] == (
        "/api/agents is deprecated since 2026-06-01 and may be gone from "
        "Tue, 01 Dec 2026 00:00:00 GMT on"
    )
    assert deprecated["action"] == "read https://guide.test/move"
    assert found["service"]["goes"] == {"agents": 1, "campaigns": 0}
    assert (moved, result["agents"], result["sign_in_again"]) == (0, 1, True)
    assert again == (0, result)
    assert (outdated, codes(still)) == (1, ["TOKEN_OUTDATED"])
    assert (after[0], after[1]["contract"], codes(after[1])) == (0, "tenant", [])


def test_3_0_0_has_nothing_to_move_from_any_more(shop: Shop, cache: str) -> None:
    bring(shop, "1.0.0", "2.0.0", "3.0.0", contract=("2.0.0", "3.0.0"))

    with serving("3.0.0", shop, cache) as system:
        token = system.register("ann@example.test", "free")
        first, found = asked(system, "check", token)
        for number in range(3):
            system.ask("POST", "/api/agents", {"name": str(number)}, bearer=token)
        full = asked(system, "check", token)[1]
        outdated = asked(system, "check", old_token(system))[1]
        moved, said = asked(system, "migrate", token)

    assert (first, found["contract"], codes(found)) == (0, "tenant", [])
    assert codes(full) == ["AGENTS_AT_LIMIT"]
    assert codes(outdated) == ["TOKEN_OUTDATED"]
    assert (moved, "nothing to migrate" in said["error"]) == (1, True)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_a_token_that_is_refused_is_told_in_either_shape(
    shop: Shop, cache: str, version: str
) -> None:
    bring(shop, "1.0.0", *(["2.0.0"] if version != "1.0.0" else []))

    with serving(version, shop, cache) as system:
        exit_code, said = asked(system, "check", "no.good.token")

    assert exit_code == 3
    assert said["error"].startswith("error: 401 ")
    assert "nauthorized" in said["error"] or "UNAUTHORIZED: A token is needed" in said["error"]


@contextmanager
def answering(*answers: tuple[int, dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Serve answers one after another, the last one for ever; give the address and what was asked."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            status, headers = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            body = json.dumps(MOVED if status == 200 else {"error": "busy", "status": status})
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


MOVED = {
    "success": True,
    "data": {
        "moved_at": "2026-06-01T00:00:00.000Z",
        "moved": {"agents": 1, "campaigns": 0},
        "stays": [{"kind": "agent", "id": "1", "name": "Ada", "why": "others use it"}],
        "limits": {"max_agents": 3, "agents": 1},
    },
}


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    with answering((429, {"Retry-After": "0"}), (503, {}), (200, {})) as (url, seen):
        done = run("migrate", url, "a.token")

    assert (done.returncode, len(seen)) == (0, 3)
    assert done.stdout.splitlines() == [
        "moved at 2026-06-01T00:00:00.000Z: 1 agents, 0 campaigns",
        "agent Ada stays everybody's: others use it",
        "sign in again: the token is from before there were roles",
    ]


def test_it_gives_up_after_three_more() -> None:
    with answering((429, {"Retry-After": "0"})) as (url, seen):
        done = run("migrate", url, "a.token")

    assert (done.returncode, len(seen)) == (3, 4)
    assert done.stderr == "error: 429 busy: busy\n"


def test_it_does_not_wait_beyond_its_deadline() -> None:
    with answering((429, {"Retry-After": "3600"})) as (url, seen):
        done = run("migrate", url, "a.token", "--deadline", "20")

    assert (done.returncode, len(seen)) == (3, 1)


def test_where_nobody_listens_it_says_so() -> None:
    with answering((200, {})) as (url, _):
        pass
    done = run("migrate", url, "a.token", "--deadline", "2")

    assert done.returncode == 3
    assert done.stderr == f"error: {url} gives no answer: ConnectionError\n"


def test_without_a_token_it_asks_nobody() -> None:
    done = run("check", "http://127.0.0.1:9", "")

    assert done.returncode == 2
    assert "set VOXFLOW_TOKEN" in done.stderr
