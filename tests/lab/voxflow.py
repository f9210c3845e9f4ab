"""VoxFlow on a lab beside another app, and those who use it while it moves."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover.drill.moves import moves_of
from changeover.lab.inventory_files import substituted
from changeover.load import history
from changeover.load.judgement import judge

from .beside import BESIDE, HOST, AppBeside
from .live import CHECKOUT, CONDITION
from .voxflow_clients import AGENTS_PATH, NAME, READY_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .live import Event, User

APP = "voxflow"
SMOKE = "smoke@voxflow.invalid"
LOAD, ANN = "load@legacy.test", "ann@legacy.test"
LEGACY = (LOAD, ANN)
# More than one batch of the backfill.
AGENTS = 6000
# With the password of the account of smoke checks.
ACCOUNT = """
    INSERT INTO users (id, email, password)
    SELECT :'email', :'email', password FROM users WHERE email = :'smoke'"""
MADE_BEFORE = """
    INSERT INTO agents (id, name, description, voice)
    SELECT gen_random_uuid(), 'before ' || n, '', 'default' FROM generate_series(1, :many) AS n"""
# What an administrator gives accounts that move.
GIVE = (
    "UPDATE users SET subscription_tier = 'enterprise', max_agents = 10000 WHERE email = :'email'"
)
NAMED = "SELECT name FROM agents WHERE starts_with(name, :'begin')"


def bring(user: User) -> None:
    """Have the copy of the inventory name the app beside those that the lab has."""
    lab = user.lab.identity

    def add(document: Event) -> None:
        apps = (BESIDE, APP)
        document["changeover_apps"] = [*apps]
        document |= substituted(lab.tracked, apps, document["changeover_controller_address"])

    user.edit("group_vars/all/lab.yml", add)
    # The lab has drawn secrets for every app that it knows.
    user.edit_vault(lambda _: None)


class Voxflow(AppBeside):
    """The app on the lab."""

    app = APP

    def condition(self) -> list[str]:
        """Return what `status` tells, and a line for every file, unit, column and ledger row."""
        told = [each for each in self.run("status") if each["type"] == "host"]
        here = CONDITION.replace("nox-api", APP).replace("nox_api", APP)
        return [*map(json.dumps, told), *self.user.lab.ssh(HOST, here).splitlines()]

    @property
    def password(self) -> str:
        """The password of the account of smoke checks, and of those that were made from it."""
        return self.secret("SMOKE_PASSWORD")

    def seed(self) -> None:
        """Make legacy accounts, and what they had made before."""
        for email in LEGACY:
            self.sql(ACCOUNT, email=email, smoke=SMOKE)
        self.sql(MADE_BEFORE, many=AGENTS)

    def names(self, begin: str) -> list[str]:
        return self.sql(NAMED, begin=begin).splitlines()


@dataclass
class Load:
    """A recorded load of a legacy client, and what came of it."""

    voxflow: Voxflow
    records: Path
    before: str
    events: list[Event] = field(default_factory=list)

    def judged(self) -> tuple[list[str], history.History]:
        """Return what is wrong, and everything that was sent."""
        found = history.read(self.records)
        begin = found.requests[0].id.partition("-")[0]
        moves = moves_of(self.events, before=self.before, ended=time.time())
        rows = self.voxflow.names(f"{begin}-")
        return judge(found, before=self.before, moves=moves, rows=rows).findings, found


@contextlib.contextmanager
def under_load(voxflow: Voxflow, name: str) -> Iterator[Load]:
    """Have a legacy client make ten agents a second, recorded, until the block ends."""
    records = voxflow.folder / f"{name}.jsonl"
    authority = voxflow.user.lab.identity.state / "keys" / "ca.pem"
    words = {
        "--address": voxflow.address,
        "--name": NAME,
        "--ca": str(authority),
        "--rate": "10",
        "--seconds": "1800",
        "--connections": "4",
        "--records": str(records),
        "--path": AGENTS_PATH,
        "--body": '{"name": "{id}"}',
        "--sign-in-body": "-",
    }
    load = Load(voxflow, records, voxflow.live())
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "changeover.load",
            *(part for each in words.items() for part in each),
        ],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"email": LOAD, "password": voxflow.password}) + "\n")
        process.stdin.close()
        process.stdin = None
        until(lambda: records.is_file() and records.stat().st_size > 0, "no load came about")
        yield load
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=READY_SECONDS)
    assert process.returncode == 0, said


def moment(events: Sequence[Event], name: str) -> float:
    """Return when a step was begun, in seconds since 1970."""
    said = ("step-intent", name)
    begun = next(each["at"] for each in events if (each["type"], each.get("step")) == said)
    return dt.datetime.fromisoformat(begun).timestamp()
