"""Physical backups on real hosts: archived, encrypted, recovered to a point by name, and refused when they cannot be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Completed, Lab

pytestmark = pytest.mark.lab

DATABASE, REPOSITORY = "host1", "backup1"
Event = dict[str, Any]
# Every file but the lock of a run: what pgBackRest encrypts begins with these eight letters.
READABLE = r"""
find /var/lib/pgbackrest -type f -size +0 | while read -r file; do
  [ "$(head -c 8 "$file")" = Salted__ ] || echo "$file"
done
"""
# The agent runs the scratch cluster as its own child; the loop ends when there is one.
KILL = r"""
until scratch=$(pgrep -o -f '^/usr/lib/postgresql/15/bin/postgres -D .*changeover-scratch'); do sleep 0.02; done
kill -9 "$(ps -o ppid= -p "$scratch" | tr -d ' ')"
while kill -0 "$scratch" 2>/dev/null; do sleep 0.02; done
pgrep -c -f '^/usr/lib/postgresql/15/bin/postgres -D .*changeover-scratch'; ls /var/lib/postgresql/15
"""


class Archived:
    """A live app whose database is archived to another host."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.env = ("--env", str(lab.identity.inventory))

    def run(self, *words: str, status: int = 0) -> list[Event]:
        done: Completed = self.lab.changeover(*words, *self.env, "--json", status=status)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def one(self, kind: str, *words: str, status: int = 0) -> Event:
        (found,) = (event for event in self.run(*words, status=status) if event["type"] == kind)
        return found

    def sql(self, statement: str, database: str = "nox_api") -> str:
        command = f'cd / && runuser -u postgres -- psql -qAt {database} -c "{statement}"'
        return self.lab.ssh(DATABASE, command)

    def users(self, database: str = "nox_api") -> list[str]:
        wanted = "SELECT email FROM users WHERE email LIKE '%@rows.test' ORDER BY 1"
        return self.sql(wanted, database).split()

    def add(self, name: str) -> None:
        self.sql(
            f"INSERT INTO users (id, email) VALUES (gen_random_uuid(), '{name}@rows.test')"  # noqa: S608 - names are the test's own
        )


@pytest.fixture(scope="module")
def archived(live_single: Lab) -> Iterator[Archived]:
    """Give the live host a repository host beside it, and take the first physical backup."""
    live_single.up("archive")
    found = Archived(live_single)
    found.run("provision")
    found.run("backup", "create", "--physical")
    yield found
    live_single.up("single")


def test_a_second_provisioning_changes_nothing(archived: Archived) -> None:
    events = archived.run("provision")

    assert [event["task"] for event in events if event.get("status") == "changed"] == []


def test_the_point_before_a_migration_brings_back_exactly_what_was_there(
    archived: Archived,
) -> None:
    archived.add("before")
    points = [event for event in archived.run("db", "migrate", "8.0.0") if event["type"] == "point"]
    archived.add("after")
    applied = archived.sql(
        "SELECT id FROM changeover.migration WHERE release = '8.0.0' ORDER BY position"
    )
    migrated = points[0]

    recovered = archived.run("backup", "restore", "--at", migrated["name"], "--yes")

    (restored,) = (event for event in recovered if event["type"] == "restored")
    (proved,) = (event for event in recovered if event["type"] == "recovered")
    assert [point["before"] for point in points] == applied.split()
    assert archived.users() == ["before@rows.test"]
    assert archived.sql("SELECT count(*) FROM changeover.migration WHERE release = '8.0.0'") == "0"
    # the migration has changed a row of its own accord, which is left behind as well
    assert proved["price"]["left_at_most"] >= restored["lost"]["public.users"]["lost"] >= 1
    assert archived.users(restored["kept"]) == ["after@rows.test", "before@rows.test"]
    listed = archived.run("backup", "list")
    (backup,) = (event for event in listed if event["type"] == "backup")
    assert backup["recovered"]["words"] == migrated["name"]
    assert backup["proof"]
    named = {event["name"]: event["before"] for event in listed if event["type"] == "point"}
    assert named.items() >= {point["name"]: point["before"] for point in points}.items()


def test_rows_of_a_transaction_that_ended_after_the_moment_are_announced(
    archived: Archived,
) -> None:
    archived.lab.ssh(
        DATABASE,
        r"""
        cd /
        coproc session { runuser -u postgres -- psql -qAt nox_api; }
        echo "BEGIN; INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'open@rows.test'); SELECT 1;" >&"${session[1]}"
        read -r _ <&"${session[0]}"
        runuser -u postgres -- psql -qAt -c 'SELECT txid_current()'
        echo "$session_PID ${session[0]} ${session[1]}" >/dev/null
        date -u +%Y-%m-%dT%H:%M:%S.%6NZ >/root/moment
        echo "COMMIT; SELECT 2;" >&"${session[1]}"
        read -r _ <&"${session[0]}"
        """,
    )
    moment = archived.lab.ssh(DATABASE, "cat /root/moment")

    drill = archived.one("drill", "backup", "drill", "--at", moment)

    (table,) = drill["price"]["tables"]
    assert (table["table"], table["left_at_most"]) == ("public.users", 1)


def test_the_repository_has_nothing_that_can_be_read(archived: Archived) -> None:
    assert archived.lab.ssh(REPOSITORY, READABLE) == ""
    secrets = "grep -c cipher-pass /etc/pgbackrest.conf; stat -c %a:%U:%G /etc/pgbackrest.conf"
    assert archived.lab.ssh(REPOSITORY, secrets).split() == ["1", "640:root:postgres"]
    assert archived.lab.ssh(DATABASE, secrets, status=None).split() == ["0", "640:root:postgres"]


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("2100-01-01", "has not been yet"),
        ("2020-01-01", "is before the first physical backup"),
        ("nowhere", "there is no point nowhere"),
    ],
)
def test_what_cannot_be_recovered_to_is_refused(archived: Archived, at: str, says: str) -> None:
    error = archived.one("error", "backup", "restore", "--at", at, "--yes", status=2)

    assert says in error["message"]
    assert "changeover backup list" in error["next"]


def test_a_recovery_that_is_killed_leaves_nothing_running_and_is_swept_by_the_next(
    archived: Archived,
) -> None:
    before = archived.users()
    drill = archived.lab.begin("backup", "drill", *archived.env)
    left = archived.lab.ssh(DATABASE, KILL, status=None).split()
    drill.communicate()

    again = archived.one("drill", "backup", "drill")

    assert left == ["0", "changeover-scratch-nox-api", "main"]
    assert drill.returncode == 1
    assert again["rows"] > 0
    assert archived.lab.ssh(DATABASE, "ls /var/lib/postgresql/15") == "main"
    assert archived.users() == before


def test_another_passphrase_than_the_repositorys_is_named(archived: Archived) -> None:
    conf = "/etc/pgbackrest.conf"
    archived.lab.ssh(REPOSITORY, f"sed -i.good 's/cipher-pass=.*/cipher-pass=wrong/' {conf}")

    error = archived.one("error", "backup", "list", status=6)

    archived.lab.ssh(REPOSITORY, f"mv {conf}.good {conf}")
    assert error["error"] == "PassphraseWrong"
    assert "changeover_repository" in error["next"]


def test_a_lost_repository_is_named_and_nothing_is_touched(archived: Archived) -> None:
    archived.lab.ssh(REPOSITORY, "systemctl stop pgbackrest")

    error = archived.one("error", "backup", "restore", "--at", "2020-01-01", "--yes", status=6)

    archived.lab.ssh(REPOSITORY, "systemctl start pgbackrest")
    assert error["error"] == "RepositoryUnreachable"
    assert "backup1 does not answer" in error["message"]
    assert archived.lab.ssh(DATABASE, "ls /var/lib/postgresql/15") == "main"
