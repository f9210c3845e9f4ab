"""A lab on which one run is struck at a moment, and ended by one command from one of two controllers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.live import SERVES

from changeover import inventory
from changeover.load import history
from changeover.load.__main__ import SIGN_IN, sign_in
from changeover.load.connection import Target

from .condition import condition
from .power import Power

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.conftest import Lab

    from changeover.inventory import Environment
    from changeover.load.history import Request

CHECKOUT = Path(__file__).resolve().parents[2]
HOST_FAULT = Path(__file__).with_name("host_fault.py")
INSTALLED = "/etc/python3.11/sitecustomize.py"
POINTS = ("before", "after", "change")
RUN_SECONDS = 900
OWN = shutil.ignore_patterns("kill-matrix")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended.

    Args:
        words: What was typed.
        code: Its exit code; negative where a signal ended it.
        seconds: How long it ran.
        said: Both of its streams.
    """

    words: str
    code: int
    seconds: float
    said: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events that it streamed."""
        found = []
        for line in self.said.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    found.append(event)
        return found

    @property
    def step(self) -> str:
        """Return the step that it was in when it ended."""
        begun = [str(each["step"]) for each in self.events if each.get("type") == "step-intent"]
        return begun[-1] if begun else "-"

    @property
    def message(self) -> str:
        """Return how it says itself that it ended."""
        last = [str(each["message"]) for each in self.events if each.get("message")]
        return last[-1] if last else self.said.strip()[-300:]


@dataclass(kw_only=True)
class Stage:
    """One lab with one app live, and the controllers that reach it.

    Args:
        lab: The lab.
        app: The app.
        database: Its database.
        rows: Queries for the rows that must be the same at the end.
        work: Where the controllers' project roots are.
        failed: The requests of the last load that failed while every host had power.
        token: What the load shows where it cannot sign in at the version that is live.
    """

    lab: Lab
    app: str
    database: str
    rows: Sequence[str]
    work: Path
    roots: dict[str, Path] = field(default_factory=dict)
    power: Power = field(init=False)
    failed: list[Request] = field(default_factory=list)
    token: str = ""

    def __post_init__(self) -> None:
        """Watch the lab's power from the beginning."""
        self.power = Power(lab=self.lab)

    def prepare(self, snapshot: str) -> None:
        """Return the disks to a snapshot, and give both controllers a checkout without a journal."""
        self.lab.reset(snapshot)
        self.power.gone.clear()
        for host, facts in self.lab.hosts.items():
            if "app" in facts["groups"]:
                self.lab.ssh(host, SERVES)
        for name in ("first", "second"):
            self.roots[name] = self._root(name)

    def _root(self, name: str) -> Path:
        root = self.work / name
        if not root.exists():
            (root / "inventories").mkdir(parents=True)
            for linked in ("apps", "templates"):
                (root / linked).symlink_to(CHECKOUT / linked)
            shutil.copytree(CHECKOUT / "build", root / "build", symlinks=True, ignore=OWN)
        shutil.rmtree(root / ".changeover", ignore_errors=True)
        return root

    def condition(self) -> list[str]:
        """Return a line for everything that a deployment may change."""
        return condition(self.lab, self.database, self.app, self.rows)

    def arm(self, what: str, at: str, number: int) -> None:
        """Have the agent of every host strike at a point; number 0 only counts the points."""
        fault = json.dumps({"what": what, "at": at, "number": number})
        for host in self.lab.hosts:
            self.lab.ssh(host, f"rm -f /run/fault.count.*; echo '{fault}' >/run/fault.json")
            self.lab.ssh(host, f"cat >{INSTALLED}", told=HOST_FAULT.read_text())

    def disarm(self) -> dict[str, int]:
        """Take the fault off every host; return how many points of each kind its agents passed."""
        self.power.settle()
        counts = dict.fromkeys(POINTS, 0)
        for host in self.lab.hosts:
            asked = " ".join(f"$(stat -c %s /run/fault.count.{at} || echo 0)" for at in POINTS)
            told = self.lab.ssh(host, f"rm -f /run/fault.json; echo {asked}")
            for at, size in zip(POINTS, told.split(), strict=True):
                counts[at] = max(counts[at], int(size))
        return counts

    def run(self, *words: str, root: str = "first", strike: Sequence[str] = ()) -> Ended:
        """Run ``changeover WORDS`` from one of the controllers, which may strike itself.

        Args:
            words: The command.
            root: Which controller: ``first`` or ``second``.
            strike: When, at which write and with which signals, as `tests.faults.controller` has it.
        """
        program = (
            ["-m", "tests.faults.controller", *strike, "--"] if strike else ["-m", "changeover"]
        )
        environment = {
            **os.environ,
            "CHANGEOVER_LAB": self.lab.name,
            "CHANGEOVER_ROOT": str(self.roots[root]),
        }
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *program, *words, "--json", "--env", str(self.lab.identity.inventory)],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = self._heard(process)
        seconds = time.monotonic() - begun
        return Ended(words=" ".join(words), code=process.returncode, seconds=seconds, said=said)

    def _heard(self, process: subprocess.Popen[str]) -> str:
        """Return what a command says to its end; a host that lost its power meanwhile gets it back."""
        self.power.watch()
        begun = time.monotonic()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                said = process.communicate(timeout=1)[0]
                self.power.look()
                return said
            self.power.look()
            if time.monotonic() - begun > RUN_SECONDS:
                process.kill()

    @contextlib.contextmanager
    def load(self, rate: int) -> Iterator[dict[str, int]]:
        """Write all the while; give what came of it, filled in at the end.

        ``ended`` is 1 where the client was there no more by then.
        """
        found = {"sent": 0, "failed": 0, "off": 0, "lost": 0, "ended": 0}
        if not rate:
            yield found
            return
        records = self.work / "load.jsonl"
        client = self._client(rate, records)
        try:
            yield found
        finally:
            found["ended"] = int(client.poll() is not None)
            client.send_signal(signal.SIGTERM)
            client.communicate(timeout=60)
        requests = history.read(records).requests
        acknowledged = {each.id for each in requests if each.acknowledged}
        failed = [each for each in requests if not each.acknowledged]
        self.failed = [each for each in failed if not self._was_off(each.start, each.end)]
        found["sent"] = len(requests)
        found["failed"] = len(self.failed)
        found["off"] = len(failed) - len(self.failed)
        found["lost"] = len(acknowledged - self._written())

    def _was_off(self, start: float, end: float) -> bool:
        return any(window.meets(start, end) for window in self.power.gone)

    def sign_in(self) -> None:
        """Keep a token of the version that is live, for disks on which another one is."""
        context = ssl.create_default_context(cafile=str(self.environment.tls.ca_certificate))
        target = Target(
            address=self.environment.public_address,
            port=443,
            name=self.environment.public_name(self.app),
            context=context,
        )
        self.token = asyncio.run(sign_in(target, "/api/auth/login", SIGN_IN, "token"))

    def _client(self, rate: int, records: Path) -> subprocess.Popen[bytes]:
        records.unlink(missing_ok=True)
        token = self.work / "token"
        token.write_text(self.token)
        client = subprocess.Popen(
            [
                *(sys.executable, "-m", "changeover.load", "--seconds", "3600"),
                *("--address", self.environment.public_address),
                *("--name", self.environment.public_name(self.app)),
                *("--ca", str(self.environment.tls.ca_certificate)),
                *("--rate", str(rate), "--records", str(records)),
                *(("--token-file", str(token)) if self.token else ()),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while client.poll() is None and not records.exists():
            time.sleep(0.1)
        assert records.exists(), "the load could not sign in"
        return client

    @property
    def environment(self) -> Environment:
        """Return the environment that the lab is."""
        return inventory.load(str(self.lab.identity.inventory), root=CHECKOUT)

    def _written(self) -> set[str]:
        host = next(name for name, facts in self.lab.hosts.items() if "db" in facts["groups"])
        query = "SELECT request_id FROM authentication_logs"
        told = self.lab.ssh(
            host, f"cd / && runuser -u postgres -- psql -XAtq -d {self.database} -c '{query}'"
        )
        return set(told.splitlines())
