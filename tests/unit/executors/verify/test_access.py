"""What the suite of host checks is told, and how it gets in."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from changeover.executors import verify
from changeover.executors.verify import HostCheck, HostsRed, VerifyOutcome, access

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project


def test_the_suite_is_told_no_secret(project: Project, tmp_path: Path) -> None:
    environment = project.environment

    told = json.dumps(access.question(environment, [project.app], tmp_path / "config"))

    secrets = [secret.reveal() for secret in environment.all_secrets()]
    assert secrets
    assert [secret for secret in secrets if secret in told] == []
    assert set(json.loads(told)["hosts"]) == {host.name for host in environment.hosts}


def test_ssh_takes_the_written_way_and_no_other(project: Project, tmp_path: Path) -> None:
    environment = project.environment
    host = environment.hosts[0]
    config = tmp_path / "config"
    config.write_text(access.ssh_config(environment, tmp_path))

    shown = subprocess.run(
        ["ssh", "-F", config, "-G", f"{host.name}-deploy"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert f"hostname {host.address}" in shown
    assert f"user {environment.deploy_user}" in shown
    assert f"userknownhostsfile {environment.known_hosts}" in shown
    assert "stricthostkeychecking true" in shown
    assert "batchmode yes" in shown
    assert "identitiesonly yes" in shown


def test_an_administrator_needs_a_key_that_is_here(project: Project, tmp_path: Path) -> None:
    environment = project.environment
    told = access.question(environment, [project.app], tmp_path / "config")

    assert {host["administrator"] for host in told["hosts"].values()} == {None}
    assert "-admin" not in access.ssh_config(environment, tmp_path)


def check(status: str) -> HostCheck:
    return HostCheck(
        check="test_x", says="It holds", host="web1", status=status, message="it is 5", seconds=0.1
    )


def test_what_was_left_out_is_not_red() -> None:
    outcome = VerifyOutcome(checks=(check("passed"), check("skipped")), seconds=1.0)

    outcome.require_green("changeover drift")
    assert outcome.skipped == (check("skipped"),)


def test_a_red_check_names_host_and_claim() -> None:
    outcome = VerifyOutcome(checks=(check("passed"), check("failed")), seconds=1.0)

    with pytest.raises(HostsRed) as raised:
        outcome.require_green("changeover drift")

    assert (raised.value.exit_code, raised.value.host) == (6, "web1")
    assert raised.value.message == "1 of 2 checks of the hosts are red"
    assert raised.value.cause == "web1: not so: It holds"


def test_a_suite_that_cannot_run_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("{ not json")

    with pytest.raises(verify.VerifyFailed) as raised:
        list(verify._checks(tmp_path, lambda _: None))  # noqa: SLF001 - the process alone

    assert "JSONDecodeError" in str(raised.value.cause)
