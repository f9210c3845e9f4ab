"""An app in Python beside another one: its wheels run on a host, and Alembic migrates its database."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .live import CHECKOUT, user_of

if TYPE_CHECKING:
    from .conftest import Lab
    from .live import Event, User

pytestmark = pytest.mark.lab
APP, OLD, NEW = "notebook", "1.0.0", "2.0.0"
HOST = "host1"
LEDGER = "SELECT string_agg(concat_ws('|', release, state, exit, undo_proved), ' ' ORDER BY release) FROM changeover.own"
AT = "SELECT version_num || ' ' || (to_regclass('tags') IS NOT NULL) FROM alembic_version"
# What the serving process has open and was started with.
PROCESS = f"""
set -e
pid=$(systemctl show -P MainPID 'notebook-web@{NEW}-*')
tr '\\0' ' ' < /proc/$pid/cmdline
echo
grep -o '/[^ ]*\\.so.*' /proc/$pid/maps | sort -u
find /opt/{APP}/releases -name '*.pyc' | wc -l
"""


@dataclass(frozen=True)
class Notebook:
    """The app on the lab, and what was said while it got there."""

    user: User
    provisioned: list[Event]
    deployed: list[Event]

    def run(self, *words: str, status: int = 0) -> list[Event]:
        done = self.user.run(*words, "--app", APP, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def sql(self, statement: str) -> str:
        command = f'cd / && runuser -u postgres -- psql -XAtq -d {APP} -c "{statement}"'
        return self.user.lab.ssh(HOST, command)


@pytest.fixture(scope="module")
def notebook(provisioned_single: Lab, tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    """Bring the host from one app to two, and deploy both releases of the second one."""
    work = tmp_path_factory.mktemp("python-app")
    user = user_of(provisioned_single, work)
    user.link_what_provisions()
    shutil.copytree(CHECKOUT / "tests/apps" / APP, user.own("apps") / APP)
    user.edit("group_vars/all/apps.yml", lambda document: document["changeover_apps"].append(APP))
    user.edit("group_vars/all/main.yml", declare)
    user.edit_vault(give_passwords)
    made = Notebook(user, [], [])
    made.provisioned.extend(made.run("provision"))
    made.run("deploy", OLD, "--yes")
    made.deployed.extend(made.run("deploy", NEW, "--yes"))
    return made


def declare(document: Event) -> None:
    document["changeover_public_names"][APP] = "notebook.lab.test"


def give_passwords(secrets: Event) -> None:
    secrets["changeover_database_passwords"][APP] = {"owner": "0a" * 32, "app": "1b" * 32}


def commands(events: list[Event]) -> list[tuple[str, str, bool]]:
    ended = [each for each in events if each["type"] == "migrator-ended"]
    return [(each["purpose"], each["what"], each["exit"] == 0) for each in ended]


def test_it_runs_on_the_wheels_of_its_bundle_alone(notebook: Notebook) -> None:
    command, *loaded, compiled = notebook.user.lab.ssh(HOST, PROCESS).splitlines()

    assert command == "/usr/bin/python3.11 -S serve.py "
    ours = [path for path in loaded if path.startswith(f"/opt/{APP}/releases/{NEW}-")]
    assert any("/code/.python/packages/psycopg_binary/" in path for path in ours)
    assert [path for path in loaded if "-packages/" in path.replace(".python", "")] == []
    assert compiled == "0"


def test_alembic_and_its_downgrade_are_tried_on_a_clone_and_run_once(notebook: Notebook) -> None:
    done = next(
        each
        for each in notebook.deployed
        if (each["type"], each.get("step")) == ("step-done", "rehearse")
    )

    assert commands(notebook.deployed) == [
        *(("clone", "command", True), ("clone", "status", True), ("clone", "undo", True)),
        *(("clone", "command", True), ("live", "status", False)),
        *(("live", "command", True), ("live", "status", True)),
    ]
    assert done["figures"]["undo_proved"]
    assert "2 data checks green" in done["says"]
    assert (notebook.sql(LEDGER), notebook.sql(AT)) == (
        *("1.0.0|applied|0|f 2.0.0|applied|0|t", "two true"),
    )


def test_going_back_leaves_the_database_until_it_is_reverted(notebook: Notebook) -> None:
    back = notebook.run("rollback")[-1]
    between = notebook.sql(AT)
    notebook.run("db", "revert", NEW)

    assert back["message"].startswith(f"{OLD} serves again, proved; {NEW}/migrator ran, and ")
    assert between == "two true"
    assert notebook.sql(AT) == "one false"
    assert notebook.sql(LEDGER) == "1.0.0|applied|0|f 2.0.0|undone|0|t"


def test_a_version_that_the_distribution_lacks_is_refused(notebook: Notebook) -> None:
    file = notebook.user.root / "apps" / APP / "app.yml"
    declared = file.read_text()
    file.write_text(declared.replace('"3.11"', '"3.13"'))
    try:
        error = notebook.run("plan", NEW, status=2)[-1]
    finally:
        file.write_text(declared)

    assert 'Debian 12 has Python "3.11", not 3.13' in error["message"]
    assert error["next"] == f"correct {file}:4"
