"""Migrations are tried on a clone of the live host's database first, and what fails there stops there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .live import back_to_live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Lab
    from .live import User

pytestmark = pytest.mark.lab
EXPAND = "apps/nox-api/releases/8.0.0/migrations/expand"
# The backup that was made, and the turn in which the ledger was told what was measured.
NOTED = r"/var/|^t\t\d+\t"
POLICY = "CREATE POLICY own ON users USING ({});\nALTER TABLE users ENABLE ROW LEVEL SECURITY"
WRITES = """INSERT INTO users (id, email) VALUES ('00000000-0000-4000-8000-000000000007', 'old@nox.invalid');
UPDATE users SET name = 'Old' WHERE email = 'old@nox.invalid';
SELECT name FROM users WHERE email = 'old@nox.invalid';
SELECT count(*) FROM users"""
DATABASES = (
    "cd / && runuser -u postgres -- psql -XAt -c 'SELECT datname FROM pg_database ORDER BY 1'"
)
USERS = "cd / && runuser -u postgres -- psql -XAt -d nox_api -c 'SELECT count(*) FROM users'"
AS_THE_APP = (
    "psql -XAt 'host=127.0.0.1 user=nox_api_app dbname={database} password=none' -c 'SELECT 1' 2>&1"
)


@pytest.fixture(scope="module", autouse=True)
def left_as_found(live_single: Lab) -> Iterator[None]:
    """Give the host back without the backups that were made here."""
    yield
    back_to_live(live_single)


def test_a_rehearsal_by_hand_times_every_statement_and_leaves_a_backup_alone(user: User) -> None:
    databases = user.lab.ssh("host1", DATABASES)

    done = user.run("db", "rehearse", "8.0.0", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event for event in events if event["type"] == "rehearsed"]
    first = told[0]
    assert (first["migration"], first["number"]) == ("8.0.0/expand/001_users_security", 1)
    assert ("users", "ACCESS EXCLUSIVE") in [
        (each["table"], each["mode"]) for each in first["locks"]
    ]
    assert first["held_milliseconds"] >= first["milliseconds"] > 0
    assert {event["migration"].split("/")[1] for event in told} == {"expand", "backfill"}
    says = next(
        event["says"]
        for event in events
        if event.get("step") == "rehearse" and event["type"] == "step-done"
    )
    assert "expand also backwards and forwards again" in says
    assert user.lab.ssh("host1", DATABASES) == databases
    user.assert_unchanged(besides=NOTED)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"007_wrong.sql": "ALTER TABLE users ADD COLUMN email text"},
            "007_wrong.sql:1: ALTER TABLE failed",
        ),
        (
            {
                "007_wrong.sql": "ALTER TABLE users ADD COLUMN nickname text",
                "007_wrong.revert.sql": "SELECT 1",
            },
            "undoing expand does not bring the schema back",
        ),
        (
            {
                "007_shut.sql": POLICY.format("email = current_user"),
                "007_shut.coexist.sql": WRITES,
            },
            (
                "007_shut.coexist.sql:1: INSERT fails as nox_api_app: new row violates row-level"
                ' security policy for table "users" (SQLSTATE 42501)'
            ),
        ),
    ],
)
def test_a_deployment_whose_migration_fails_on_the_clone_ends_before_anything_moves(
    user: User, files: dict[str, str], message: str
) -> None:
    folder = user.own("apps").parent / EXPAND
    for name, text in files.items():
        (folder / name).write_text(text)
    databases = user.lab.ssh("host1", DATABASES)

    done = user.run("deploy", "8.0.0", "--yes", "--json")

    error = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, error["type"]) == (6, "error"), done.stdout + done.stderr
    assert error["message"].startswith("in the rehearsal: ")
    assert message in error["message"]
    assert "the live database was not touched" in error["next"]
    assert user.lab.ssh("host1", DATABASES) == databases
    user.assert_unchanged(besides=NOTED)


def test_what_the_old_version_was_seen_to_write_beside_stays_over_a_rollback(user: User) -> None:
    folder = user.own("apps").parent / EXPAND
    everybody = "current_setting('nox.tenant', true) IS NULL"
    (folder / "007_shut.sql").write_text(POLICY.format(everybody))
    assert "way back: restore: " in user.run("plan", "8.0.0").stdout
    (folder / "007_shut.coexist.sql").write_text(WRITES)
    users = user.lab.ssh("host1", USERS)

    done = user.run("db", "rehearse", "8.0.0")

    assert done.returncode == 0, done.stdout + done.stderr
    planned = user.run("plan", "8.0.0").stdout
    worked = "4 statements of the old version worked beside it as nox_api_app"
    assert f"8.0.0/expand/007_shut  {worked}" in planned
    assert "way back: instant: " in planned
    assert "8.0.0/expand/007_shut (007_shut.coexist.sql as nox_api_app)" in planned
    assert user.lab.ssh("host1", USERS) == users
    barred = user.lab.ssh("host1", AS_THE_APP.format(database="nox_api"), status=None)
    assert "pg_hba.conf rejects connection" in barred
    user.assert_unchanged(besides=NOTED)
