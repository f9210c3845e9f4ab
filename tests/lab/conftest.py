"""Labs for the tests: real hosts, under names of their own, so that they meet no other lab."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from changeover.lab.identity import (
    CACHE_DIRECTORY,
    CACHE_VARIABLE,
    NAME_VARIABLE,
    STATE_DIRECTORY,
    STATE_VARIABLE,
    Identity,
)

from .live import LIVE_SNAPSHOT, back_to_live, condition, make_live, user_of
from .processes import processes_naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .live import User

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 600
PROVISION_SECONDS = 1500
PROVISIONED_SNAPSHOT = "provisioned"
Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Lab:
    """A lab of the tests: its commands are run as a user would type them."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)

    def changeover(
        self,
        *words: str,
        status: int | None = 0,
        seconds: float = COMMAND_SECONDS,
        told: str | None = None,
    ) -> Completed:
        """Run ``changeover WORDS`` against this lab; fail unless it ends with ``status``."""
        done = subprocess.run(
            [sys.executable, "-m", "changeover", *words],
            cwd=CHECKOUT,
            env=self._as_typed,
            input=told,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if status is not None and done.returncode != status:
            pytest.fail(
                f"changeover {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start ``changeover WORDS --json`` and let it run; its stream and its words can be read."""
        return subprocess.Popen(
            [sys.executable, "-m", "changeover", *words, "--json"],
            cwd=CHECKOUT,
            env=self._as_typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _as_typed(self) -> dict[str, str]:
        return {**os.environ, "CHANGEOVER_LAB": self.name, **self.environment}

    def up(self, topology: str) -> None:
        self.changeover("lab", "up", "--topology", topology)

    def purge(self) -> None:
        self.changeover("lab", "down", "--purge", "--keep-cache")

    def ssh(
        self, host: str, command: str, *, status: int | None = 0, told: str | None = None
    ) -> str:
        """Run a shell command on a host as its administrator and return its output."""
        words = ("lab", "ssh", host, "--", command)
        return self.changeover(*words, status=status, told=told).stdout.strip()

    def snapshot(self, name: str) -> None:
        self.changeover("lab", "snapshot", name)

    def reset(self, name: str) -> None:
        self.changeover("lab", "reset", name)

    def status(self) -> dict[str, Any]:
        lines = self.changeover("lab", "status", "--json").stdout.splitlines()
        found = [json.loads(line) for line in lines]
        answer: dict[str, Any] = next(entry for entry in found if entry["type"] == "lab")
        return answer

    @property
    def identity(self) -> Identity:
        """What its directories, bridge and machines are called."""
        places = {**os.environ, **self.environment}
        return Identity(
            name=self.name,
            checkout=Path(places.get("CHANGEOVER_ROOT", CHECKOUT)),
            shared=True,
            state=Path(places.get(STATE_VARIABLE, STATE_DIRECTORY)) / self.name,
            cache=Path(places.get(CACHE_VARIABLE, CACHE_DIRECTORY)),
        )

    def traces(self, hosts: list[str]) -> list[str]:
        """Return every mount, link, process, control group and lock that belongs to it."""
        one = self.identity
        mounts = Path("/proc/mounts").read_text().splitlines()
        found = [line for line in mounts if str(one.state) in line]
        found += [str(path) for path in Path("/sys/class/net").glob(one.bridge)]
        for machine in (one.machine(host) for host in hosts):
            found += [str(path) for path in Path("/sys/class/net").glob(f"vb-{machine}*")]
            found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/changeover-{machine}")]
            found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/{machine}")]
            found += processes_naming(machine)
        return found + [str(path) for path in Path("/run/lock").glob(f"changeover-lab-{one.name}*")]

    @property
    def inventory(self) -> Path:
        """The inventory directory: what ``--env`` takes."""
        return Path(self.status()["inventory"])

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts by name: address, groups, state, pid."""
        return {host["name"]: host for host in self.status()["hosts"]}


def own_lab(purpose: str, **environment: str) -> Lab:
    """Return a lab whose name the next run of this checkout finds again, to clear what is left.

    Runs of one checkout at the same time keep apart by ``CHANGEOVER_LAB``.
    """
    place = f"{CHECKOUT}{os.environ.get(NAME_VARIABLE, '')}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:6]
    return Lab(f"test-{purpose}-{digest}", environment)


def session_lab(topology: str) -> Iterator[Lab]:
    lab = own_lab(topology)
    lab.purge()
    lab.up(topology)
    yield lab
    lab.purge()


@pytest.fixture(scope="session")
def lab_single() -> Iterator[Lab]:
    """Yield a lab with one freshly installed host in all groups."""
    yield from session_lab("single")


@dataclass(frozen=True)
class FirstRun:
    """What was said when a freshly installed host was provisioned.

    Args:
        checked: What ``provision --check`` told before it.
        left_by_check: What ``id deploy`` said on the host after that check.
        changed: The tasks that changed the host when it was provisioned.
    """

    checked: str
    left_by_check: str
    changed: tuple[str, ...]


@pytest.fixture(scope="session")
def lab_fleet() -> Iterator[Lab]:
    """Yield a lab with freshly installed hosts lb1, app1, app2 and db1."""
    yield from session_lab("fleet")


@pytest.fixture(scope="session")
def first_run(lab_single: Lab) -> FirstRun:
    """Provision the single host from nothing and keep its disks as snapshot ``provisioned``."""
    lab_single.reset("fresh")
    env = ("--env", str(lab_single.inventory))
    checked = lab_single.changeover("provision", "--check", *env, seconds=PROVISION_SECONDS)
    left = lab_single.ssh("host1", "id deploy 2>&1", status=None)
    run = lab_single.changeover("provision", "--json", *env, seconds=PROVISION_SECONDS)
    lab_single.snapshot(PROVISIONED_SNAPSHOT)
    events = [json.loads(line) for line in run.stdout.splitlines()]
    changed = tuple(event["task"] for event in events if event.get("status") == "changed")
    return FirstRun(checked=checked.stderr, left_by_check=left, changed=changed)


@pytest.fixture(scope="module")
def provisioned_single(lab_single: Lab, first_run: FirstRun) -> Iterator[Lab]:
    """Yield the single host in its platform state, without an app; it is fresh again afterwards."""
    assert first_run.changed
    lab_single.reset(PROVISIONED_SNAPSHOT)
    yield lab_single
    lab_single.reset("fresh")


@pytest.fixture(scope="session")
def fleet_snapshot(lab_fleet: Lab) -> str:
    """Provision the fleet from nothing and keep its disks as snapshot ``provisioned``."""
    env = str(lab_fleet.inventory)
    lab_fleet.changeover("provision", "--env", env, seconds=PROVISION_SECONDS)
    lab_fleet.snapshot(PROVISIONED_SNAPSHOT)
    return PROVISIONED_SNAPSHOT


@pytest.fixture(scope="module")
def provisioned_fleet(lab_fleet: Lab, fleet_snapshot: str) -> Lab:
    """Return the fleet in its platform state, without an app."""
    lab_fleet.reset(fleet_snapshot)
    return lab_fleet


@pytest.fixture(scope="session")
def live_snapshot(lab_single: Lab, first_run: FirstRun) -> str:
    """Deploy NOX API 7.0.0 on the provisioned host and keep its disks as snapshot ``live``."""
    assert first_run.changed
    lab_single.reset(PROVISIONED_SNAPSHOT)
    make_live(lab_single)
    return LIVE_SNAPSHOT


@pytest.fixture(scope="module")
def live_single(lab_single: Lab, live_snapshot: str) -> Iterator[Lab]:
    """Yield the single host with NOX API 7.0.0 live; it is fresh again afterwards.

    A test that leaves another condition resets the lab with ``back_to_live``.
    """
    assert live_snapshot == LIVE_SNAPSHOT
    back_to_live(lab_single)
    yield lab_single
    lab_single.reset("fresh")


@pytest.fixture(scope="module")
def live_condition(live_single: Lab) -> list[str]:
    """Return the condition of the live lab when the module's first test begins."""
    return condition(live_single)


@pytest.fixture
def user(live_single: Lab, live_condition: list[str], tmp_path: Path) -> User:
    """Return a user of the live lab with a copy of its inventory and a project root to edit."""
    return user_of(live_single, tmp_path, live_condition)


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    """Return a maker of further labs, by purpose; those it made are purged."""
    made: list[Lab] = []

    def make(purpose: str, **environment: str) -> Lab:
        made.append(own_lab(purpose, **environment))
        made[-1].purge()
        return made[-1]

    yield make
    for lab in made:
        lab.purge()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project that has the lab's data files and nothing else."""
    tracked = tmp_path / "project/inventories/lab"
    skip = shutil.ignore_patterns("hosts.yml", "lab.yml", "vault.yml")
    shutil.copytree(CHECKOUT / "inventories/lab", tracked, ignore=skip)
    (tracked / "companions.yml").write_text("companions: {}\n")
    return tmp_path / "project"


@pytest.fixture
def copied_cache(tmp_path: Path, lab_single: Lab) -> Path:
    """Return a cache of its own that has what the common one has."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for built in lab_single.identity.cache.iterdir():
        if built.name.startswith(("image-", "mirror-")):
            subprocess.run(["cp", "-a", "--link", str(built), str(cache)], check=True, timeout=60)
    return cache
