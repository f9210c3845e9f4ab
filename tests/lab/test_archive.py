"""Physical backups on real hosts: archived, encrypted, recovered to a point by name, and refused when they cannot be."""

from __future__ import annotations

import json
import shlex
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from .archive_scripts import DROP, HOLD, KILL, LET_GO, LOSE, READABLE
from .conftest import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Completed, Lab

pytestmark = pytest.mark.lab

DATABASE, REPOSITORY = "host1", "backup1"
Event = dict[str, Any]


def runbook() -> str:
    """Return what the page about backups has its reader type on the new host of a lost database."""
    page = (CHECKOUT / "docs/backups-and-the-way-back.md").read_text()
    block = page.partition("### A lost database host")[2].split("```")[1]
    return textwrap.dedent(block.removeprefix("text"))


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

    drill = archived.one("backup-drill", "backup", "drill", "--at", moment)

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

    again = archived.one("backup-drill", "backup", "drill")

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


def test_a_check_is_told_whether_the_server_archives_that_there_is_none_or_why_it_cannot_be_said(
    archived: Archived,
) -> None:
    script = (CHECKOUT / "roles/postgresql/files/archives.sh").read_text()
    ask = f"sh -c {shlex.quote(script)} archives 15"

    assert archived.lab.ssh(DATABASE, ask) == "on"
    assert archived.lab.ssh(REPOSITORY, ask) == ""
    assert archived.lab.ssh(DATABASE, f"PGPORT=1 {ask}", status=2) == ""


def test_a_backup_by_hand_while_a_timer_takes_one_is_refused(archived: Archived) -> None:
    archived.lab.ssh(REPOSITORY, HOLD)

    error = archived.one("error", "backup", "create", "--physical", status=5)

    archived.lab.ssh(REPOSITORY, LET_GO)
    assert (error["error"], error["host"]) == ("PhysicalBusy", REPOSITORY)
    assert "at another backup" in error["message"]


def test_log_that_was_let_go_of_is_told_until_a_backup_makes_up_for_it(archived: Archived) -> None:
    archived.lab.ssh(DATABASE, DROP)

    told = archived.one("archive", "backup", "list")
    warned = archived.one("archive-warning", "status")
    checks = {event["id"]: event for event in archived.run("preflight", "8.0.0") if "id" in event}
    archived.run("backup", "create", "--physical", "--full")
    mended = archived.one("archive", "backup", "list")

    assert (told["lost"]["files"], told["lost"]["whole"]) == (1, None)
    assert told["earliest"] is None
    assert warned["about"] == "log-gap"
    assert "no later moment can be recovered" in warned["says"]
    assert (checks["log-gap"]["status"], checks["log-gap"]["host"]) == ("warn", REPOSITORY)
    assert "backup create --physical --full" in checks["log-gap"]["next"]
    assert mended["lost"]["whole"] is not None
    assert mended["earliest"] > told["lost"]["since"]


def test_a_lost_cluster_comes_back_by_the_commands_of_the_page_and_no_other_takes_its_place(
    archived: Archived,
) -> None:
    archived.add("kept")
    archived.lab.ssh(DATABASE, LOSE)
    stanza = (CHECKOUT / "roles/pgbackrest/files/stanza.sh").read_text()
    try_archive = f"sh -c {shlex.quote(stanza)} stanza main /var/lib/pgbackrest 2>&1"

    refused = archived.lab.ssh(REPOSITORY, try_archive, status=1)
    archived.lab.ssh(DATABASE, f"set -e\n{runbook()}")
    archived.lab.ssh(REPOSITORY, try_archive)

    assert "Never stanza-upgrade" in refused
    assert "kept@rows.test" in archived.users()
    assert "late@rows.test" not in archived.users()
    assert archived.one("backup-drill", "backup", "drill")["rows"] > 0
