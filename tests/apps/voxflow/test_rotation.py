"""Secrets of API keys are rotated while the app serves and writes; whatever stops it, it goes on."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from tests.apps.python_app import packages
from tests.postgres.own_server import connect

from .sealing import opened, sealed
from .system import APP, bring, environment, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop

    from .system import System

OLD = "old:the first secret of these tests"
NEW = "new:another secret of these tests"
BOTH = f"{NEW},{OLD}"
WAIT_SECONDS = 60
ROWS = "SELECT user_id, provider, key_id, sealed FROM api_keys ORDER BY user_id, provider"


@dataclass(frozen=True)
class Ended:
    """How a rotation ended."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def answer(self) -> dict[str, Any]:
        return self.lines[-1]


def begin(shop: Shop, *words: str, secrets: str = BOTH, **more: str) -> subprocess.Popen[str]:
    said = environment("2.0.0", shop, "unix:///nowhere") | {"API_KEYS_SECRET": secrets}
    return subprocess.Popen(
        [packages(APP), "-m", "tenancy.rotation", *words],
        cwd=APP,
        env=said | {"SOCKET_DIRECTORY": "/nowhere"} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> Ended:
    written, _ = process.communicate(timeout=WAIT_SECONDS)
    assert "secret of these tests" not in written
    assert "gsk_" not in written
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    return Ended(process.returncode, lines)


def rotate(shop: Shop, *words: str, **more: str) -> Ended:
    return end(begin(shop, *words, **more))


def fill(shop: Shop, count: int, secret: str = OLD) -> None:
    """Have tenants with a key each, in the order of their numbers."""
    with connect(shop.admin) as connection:
        for number in range(count):
            user = f"user-{number:03}"
            connection.execute(
                "INSERT INTO users (id, email, password) VALUES (%s, %s, '!')",
                [user, f"{user}@x.test"],
            )
            data = sealed(secret, user, "groq", f"gsk_{number}")
            connection.execute(
                "INSERT INTO api_keys (user_id, provider, key_id, sealed) VALUES (%s, 'groq', %s, %s)",
                [user, secret.partition(":")[0], data],
            )


def by_id(shop: Shop) -> dict[str, int]:
    found = shop.rows("SELECT key_id, count(*) FROM api_keys GROUP BY key_id")
    return {str(key_id): int(count) for key_id, count in found}


def until_it_waits(shop: Shop) -> None:
    """Wait until a session of the app's waits for a lock."""
    waiting = "SELECT usename FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(WAIT_SECONDS * 20):
        if (shop.app.user,) in shop.rows(waiting):
            return
        time.sleep(0.05)
    pytest.fail("it does not wait")


def test_every_key_is_by_the_first_secret_while_hosts_serve_and_write(
    shop: Shop, cache: str
) -> None:
    bring(shop, "1.0.0", "2.0.0")

    def write(system: System, other: System, token: str, provider: str) -> str:
        """Save keys one after the other, and return the last one."""
        key = ""
        for number, host in zip(range(15), cycle((system, other)), strict=False):
            key = f"gsk_{provider}_{number}"
            asked = {"provider": provider, "api_key": key}
            assert host.ask("POST", "/api/api-keys", asked, bearer=token).status == 200
        return key

    with (
        serving("2.0.0", shop, cache, API_KEYS_SECRET=f"{OLD},{NEW}") as before,
        serving("2.0.0", shop, cache, API_KEYS_SECRET=BOTH) as after,
        ThreadPoolExecutor(6) as crowd,
    ):
        fill(shop, 40)
        tokens = [before.register(f"{name}@example.test", "enterprise") for name in ("ann", "ben")]
        jobs = [
            (token, provider) for token in tokens for provider in ("groq", "deepgram", "twilio")
        ]
        writing = [crowd.submit(write, before, after, *job) for job in jobs]
        meanwhile = [rotate(shop, "--batch=7") for _ in range(3)]
        last = {job: each.result() for job, each in zip(jobs, writing, strict=True)}
        seen = [
            host.ask("GET", "/api/api-keys/status", bearer=token).body["data"]
            for host in (before, after)
            for token in tokens
        ]
    settled = [rotate(shop), rotate(shop)]
    rows = shop.rows(ROWS)

    assert {each.code for each in meanwhile} <= {0, 75}
    assert [each.code for each in settled] == [0, 0]
    assert settled[-1].answer == {
        "first": "new",
        "keys": 46,
        "encrypted": 0,
        "by_first": 46,
        "unreadable": {},
        "advice": "",
    }
    assert by_id(shop) == {"new": 46}
    read = [opened(NEW, user, provider, data) for user, provider, _, data in rows]
    assert sorted(read) == sorted([*(f"gsk_{number}" for number in range(40)), *last.values()])
    assert all("error" not in key for told in seen for key in told.values())
    assert all(key["configured"] for told in seen for key in told.values())


def test_one_that_is_killed_half_way_is_gone_on_with(shop: Shop) -> None:
    bring(shop, "1.0.0", "2.0.0")
    fill(shop, 30)

    with connect(shop.admin) as other, other.transaction():
        other.execute("SELECT 1 FROM api_keys WHERE user_id = 'user-025' FOR UPDATE")
        process = begin(shop, "--batch=10")
        until_it_waits(shop)
        process.kill()
        told = end(process)
    half = by_id(shop)
    again = rotate(shop, "--batch=10")
    rows = shop.rows(ROWS)
    idle = rotate(shop, "--batch=10")

    assert told.answer == {"done": 20, "total": 30}
    assert half == {"new": 20, "old": 10}
    assert (again.code, again.answer["encrypted"], again.answer["by_first"]) == (0, 10, 30)
    assert [opened(NEW, user, "groq", data) for user, _, _, data in rows] == [
        f"gsk_{number}" for number in range(30)
    ]
    assert (idle.code, idle.answer["encrypted"]) == (0, 0)
    assert shop.rows(ROWS) == rows


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_a_key_that_is_saved_meanwhile_stays_what_it_was_saved_as(shop: Shop, secret: str) -> None:
    bring(shop, "1.0.0", "2.0.0")
    fill(shop, 3)

    with connect(shop.admin) as other, other.transaction():
        other.execute(
            "UPDATE api_keys SET key_id = %s, sealed = %s WHERE user_id = 'user-001'",
            [secret.partition(":")[0], sealed(secret, "user-001", "groq", "gsk_meanwhile")],
        )
        process = begin(shop)
        until_it_waits(shop)
    ended = end(process)

    assert (ended.code, ended.answer["by_first"]) == (0, 3)
    assert [opened(NEW, user, "groq", data) for user, _, _, data in shop.rows(ROWS)] == [
        "gsk_0",
        "gsk_meanwhile",
        "gsk_2",
    ]


def test_keys_that_no_secret_opens_stay_and_are_told(shop: Shop) -> None:
    bring(shop, "1.0.0", "2.0.0")
    fill(shop, 5)
    shop.rows("UPDATE api_keys SET key_id = 'gone' WHERE user_id = 'user-001'")
    shop.rows(
        "UPDATE api_keys SET sealed = (SELECT sealed FROM api_keys WHERE user_id = 'user-000')"
        " WHERE user_id = 'user-002'"
    )
    shop.rows("UPDATE api_keys SET key_id = 'new' WHERE user_id = 'user-003'")
    before = {row[0]: row for row in shop.rows(ROWS)}

    ended = rotate(shop)
    after = {row[0]: row for row in shop.rows(ROWS)}

    assert ended.code == 1
    assert ended.answer["unreadable"] == {"gone": 1, "old": 1, "new": 1}
    assert (ended.answer["encrypted"], ended.answer["by_first"]) == (2, 2)
    assert "save these keys again" in ended.answer["advice"]
    for user in ("user-001", "user-002", "user-003"):
        assert after[user] == before[user]


def test_a_dry_run_tells_what_it_would_do_and_writes_nothing(shop: Shop) -> None:
    bring(shop, "1.0.0", "2.0.0")
    fill(shop, 3)
    before = shop.rows(ROWS)

    ended = rotate(shop, "--batch=2", "--dry-run")

    assert (ended.code, ended.answer["would_encrypt"], ended.answer["by_first"]) == (0, 3, 0)
    assert shop.rows(ROWS) == before


def test_what_cannot_be_ends_with_a_code_of_its_own(shop: Shop) -> None:
    ends = {
        "batch": rotate(shop, "--batch=0").code,
        "secret": rotate(shop, secrets="short").code,
        "database": rotate(shop, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"),
    }

    assert (ends["batch"], ends["secret"]) == (2, 1)
    assert isinstance(ends["database"], Ended)
    assert ends["database"].code == 75
    assert "was not to be had" in ends["database"].answer["error"]
