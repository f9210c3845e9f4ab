"""The environment as JSON, the hosts as fixtures, and each result as one JSON line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import testinfra


@dataclass(frozen=True)
class Server:
    """One host as a check sees it.

    Args:
        name: Its inventory name.
        groups: The groups it is in.
        address: Its private address.
        facts: What the environment says: apps, deploy user, signers, neighbours.
        look: testinfra's host, as the deploy user or the administrator.
    """

    name: str
    groups: tuple[str, ...]
    address: str
    facts: dict[str, Any] = field(repr=False)
    look: Any = field(repr=False)

    @property
    def apps(self) -> dict[str, Any]:
        """Return what is known of each app: user, database, cache user, public name."""
        known: dict[str, Any] = self.facts["apps"]
        return known

    def output(self, command: str) -> str:
        """Return what a command prints; fail with its complaint where it fails."""
        ran = self.look.run(command)
        if ran.rc:
            pytest.fail(f"{command}: exit {ran.rc}: {ran.stderr.strip() or ran.stdout.strip()}")
        return str(ran.stdout).strip()

    def succeeds(self, command: str) -> bool:
        """Return whether a command ends with exit code 0."""
        return bool(self.look.run(command).rc == 0)

    def unit(self, name: str) -> str:
        """Return what systemd says of a unit: ``active enabled`` where all is well."""
        ran = self.look.run(f"systemctl is-active {name}; systemctl is-enabled {name}")
        return " ".join(str(ran.stdout).split())

    def mode(self, path: str) -> str:
        """Return owner, group and mode of a file, such as ``root:root 644``."""
        return self.output(f"stat -c '%U:%G %a' {path}")

    def colour(self, app: str) -> str | None:
        """Return the live colour of an app on this host, if there is one."""
        ran = self.look.run(f"readlink /run/{app}/current")
        return str(ran.stdout).strip() or None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the environment, and where results go."""
    parser.addoption("--environment", required=True, help="a JSON file that verify wrote")
    parser.addoption("--results", type=int, help="a file descriptor for one JSON line a result")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask every check of each host in the groups that its module names."""
    known = json.loads(Path(metafunc.config.getoption("--environment")).read_text("utf-8"))
    groups = set(getattr(metafunc.module, "GROUPS", ()))
    without = set(getattr(metafunc.module, "WITHOUT", ()))
    hosts = [
        name
        for name, host in known["hosts"].items()
        if (not groups or groups & set(host["groups"])) and not without & set(host["groups"])
    ]
    for fixture in {"server", "root"} & set(metafunc.fixturenames):
        metafunc.parametrize(fixture, hosts, indirect=True, scope="session")


def _server(request: pytest.FixtureRequest, alias: str, *, sudo: bool) -> Server:
    known = json.loads(Path(request.config.getoption("--environment")).read_text("utf-8"))
    host = known["hosts"][request.param]
    look = testinfra.get_host(
        f"ssh://{request.param}-{alias}", ssh_config=known["ssh_config"], sudo=sudo
    )
    return Server(request.param, tuple(host["groups"]), host["address"], known, look)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """Return a host as the deploy user sees it."""
    return _server(request, "deploy", sudo=False)


@pytest.fixture(scope="session")
def root(request: pytest.FixtureRequest) -> Server:
    """Return a host as its administrator sees it."""
    known = json.loads(Path(request.config.getoption("--environment")).read_text("utf-8"))
    administrator = known["hosts"][request.param]["administrator"]
    if administrator is None:
        pytest.skip("this controller has no administrator's key")
    return _server(request, "admin", sudo=administrator != "root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:  # noqa: ANN401 - pluggy's own
    """Print each result as one JSON line on the descriptor that was given."""
    report: pytest.TestReport = yield
    descriptor = item.config.getoption("--results")
    if descriptor is None or (report.when != "call" and report.passed):
        return report
    if report.when == "teardown" and not report.failed:
        return report
    callspec = getattr(item, "callspec", None)
    host = next(iter(callspec.params.values()), None) if callspec else None
    if callspec and not isinstance(host, str):
        # No host is in this module's groups: there was nothing to look at.
        return report
    event = {
        "check": item.originalname if isinstance(item, pytest.Function) else item.name,
        "says": (getattr(item, "obj", None).__doc__ or "").strip().rstrip("."),
        "host": host,
        "status": report.outcome,
        "message": _message(report),
        "seconds": call.duration,
    }
    os.write(descriptor, (json.dumps(event) + "\n").encode())
    return report


def _message(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    told = str(crash.message) if crash else str(report.longrepr or "")
    # the first line is what was compared; pytest's own account of the objects in it follows
    return told.removeprefix("AssertionError: ").partition("\n")[0]
