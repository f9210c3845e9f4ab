"""Facts held against requirements, as data: what a host has, what is asked, what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from changeover.errors import ChangeoverError, CheckRed
from changeover.executors.preflight import interpreter, requirements
from changeover.executors.preflight.facts import Disk, HostFacts, Listener, Server, read
from changeover.executors.preflight.findings import Finding, PreflightOutcome, PreflightRed
from changeover.executors.preflight.interpreter import Interpreter
from changeover.release.model import Requirement, Requirements
from changeover.remote.failures import HostKeyChanged

ASKED = Requirements(
    minimum=Requirement(
        node="18.0.0", npm="8.0.0", redis="6.0", postgresql="12.0", memory="2GB", disk="10GB"
    ),
    recommended=Requirement(
        node="20.0.0", npm="10.0.0", redis="7.0", postgresql="15.0", memory="4GB", disk="20GB"
    ),
)
SOUND = HostFacts(
    versions={
        "node": "20.1.0",
        "npm": "10.2.4",
        "python": "3.11.2",
        "redis": "7.0.15",
        "nginx": "1.22.1",
    },
    postgresql=("15.20",),
    memory_bytes=8 * 10**9,
    disks=(
        Disk(purpose="releases", path="/opt/shop/releases", free_bytes=30 * 10**9, device=1),
        Disk(purpose="database", path="/var/lib/postgresql", free_bytes=30 * 10**9, device=1),
    ),
    listeners=(
        Listener(port=80, user_id=0, unit="nginx.service"),
        Listener(port=443, user_id=0, unit="nginx.service"),
    ),
    failed_units=(),
    certificates={},
    system="Debian GNU/Linux 12 (bookworm)",
    clock_skew=0.1,
)
EVERYWHERE = ("lb", "app", "db", "cache")


def said(facts: HostFacts, groups: tuple[str, ...] = EVERYWHERE, **more: Any) -> list[Finding]:  # noqa: ANN401
    given = {"requires": ASKED, "server": None, "provision": "changeover provision", **more}
    return list(requirements.findings("web1", groups, facts, **given))


def troubles(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.status, f.id, f.message) for f in found if f.status != "ok"]


def test_a_sound_host_is_ok_in_every_question() -> None:
    found = said(SOUND)

    assert troubles(found) == []
    assert {f.id for f in found} == {
        "node",
        "npm",
        "redis",
        "postgresql",
        "memory",
        "disk",
        "port-80",
        "port-443",
        "clock",
    }


@pytest.mark.parametrize(
    ("change", "status", "question", "message"),
    [
        (
            {"versions": {**SOUND.versions, "node": "17.9.1"}},
            "red",
            "node",
            "node is 17.9.1, at least 18.0.0 is needed",
        ),
        (
            {"versions": {**SOUND.versions, "node": "18.20.4"}},
            "warn",
            "node",
            "node is 18.20.4, 20.0.0 or newer is recommended",
        ),
        (
            {"versions": {**SOUND.versions, "npm": "9.2.0"}},
            "warn",
            "npm",
            "npm is 9.2.0, 10.0.0 or newer is recommended",
        ),
        (
            {"versions": {**SOUND.versions, "node": None}},
            "red",
            "node",
            "node is not installed, 18.0.0 or newer is needed",
        ),
        (
            {"versions": {**SOUND.versions, "redis": "5.0.14"}},
            "red",
            "redis",
            "redis is 5.0.14, at least 6.0 is needed",
        ),
        (
            {"postgresql": ("11.22",)},
            "red",
            "postgresql",
            "postgresql is 11.22, at least 12.0 is needed",
        ),
        (
            {"postgresql": ("11.22", "15.1")},
            "red",
            "postgresql",
            "postgresql is 11.22, at least 12.0 is needed",
        ),
        (
            {"postgresql": ()},
            "red",
            "postgresql",
            "postgresql is not installed, 12.0 or newer is needed",
        ),
        ({"memory_bytes": 10**9}, "red", "memory", "memory: 1.0 GB, at least 2GB is needed"),
        ({"memory_bytes": 3 * 10**9}, "warn", "memory", "memory: 3.0 GB, 4GB is recommended"),
        (
            {"listeners": (Listener(port=443, user_id=33, unit="apache2.service"),)},
            "red",
            "port-443",
            "port 443 is taken by apache2.service",
        ),
        (
            {"listeners": (Listener(port=80, user_id=1000, unit=None),)},
            "red",
            "port-80",
            "port 80 is taken by a program of user id 1000 whose unit cannot be seen",
        ),
        (
            {"listeners": (Listener(port=80, user_id=0, unit=None),)},
            "warn",
            "port-80",
            "port 80 is taken by a program of user id 0 whose unit cannot be seen",
        ),
        ({"clock_skew": 5.0}, "warn", "clock", "its clock is 5 s away from ours"),
        ({"clock_skew": 90.0}, "red", "clock", "its clock is 90 s away from ours"),
        ({"failed_units": ("cron.service",)}, "warn", "failed-units", "failed units: cron.service"),
    ],
)
def test_one_thing_is_wrong(
    change: dict[str, Any], status: str, question: str, message: str
) -> None:
    found = said(replace(SOUND, **change))

    assert troubles(found) == [(status, question, message)]
    assert next(f for f in found if f.status == status).next


def test_a_host_is_asked_only_for_what_works_on_it() -> None:
    bare = replace(SOUND, versions=dict.fromkeys(SOUND.versions), postgresql=())

    assert troubles(said(bare, groups=("lb",))) == []
    assert [f.id for f in said(bare, groups=("cache",)) if f.status == "red"] == ["redis"]


def test_the_running_server_is_believed_before_the_installed_one() -> None:
    found = said(
        SOUND, groups=("db",), server=Server(version="11.22 (Debian 11.22-1)", size_bytes=0)
    )

    assert ("red", "postgresql", "postgresql is 11.22, at least 12.0 is needed") in troubles(found)


def test_nothing_is_asked_of_a_release_without_requirements() -> None:
    found = said(SOUND, requires=Requirements())

    assert {f.id for f in found} == {"port-80", "port-443", "clock"}


@pytest.mark.parametrize(
    ("left", "right"),
    [("18.0.0", "18"), ("15.8", "15"), ("10.2.4", "9.9.9"), ("7.0.15", "7.0.9")],
)
def test_versions_are_compared_by_number(left: str, right: str) -> None:
    facts = replace(SOUND, versions={**SOUND.versions, "node": left})
    asked = Requirements(minimum=Requirement(node=right))

    assert troubles(said(facts, requires=asked)) == []


def test_the_environment_as_a_whole() -> None:
    asked = Requirements(recommended=Requirement(balancer=True, cdn=True))

    alone = list(requirements.environment_findings(asked, ["one"], ["one"]))
    fleet = list(requirements.environment_findings(asked, ["lb1"], ["app1", "app2"]))

    assert [(f.id, f.status) for f in alone] == [("balancer", "warn"), ("cdn", "warn")]
    assert [(f.id, f.status) for f in fleet] == [("balancer", "ok"), ("cdn", "warn")]


@pytest.mark.parametrize(
    ("clock", "skew"), [(105.0, 0.0), (100.0, 0.0), (99.0, 1.0), (140.0, 30.0)]
)
def test_the_time_of_the_question_is_no_skew(clock: float, skew: float) -> None:
    said_by_host = {
        "versions": {},
        "interpreters": [],
        "machine": "x86_64",
        "postgresql": [],
        "memory_bytes": 1,
        "disks": [],
        "listeners": [],
        "failed_units": [],
        "certificates": {},
        "system": None,
        "clock": clock,
    }

    assert read(said_by_host, before=100.0, after=110.0).clock_skew == pytest.approx(skew)


def outcome(*findings: Finding) -> PreflightOutcome:
    return PreflightOutcome(findings=findings, seconds=0.0)


RED = Finding(id="disk", status="red", host="web1", message="disk is full", next="free disk")
WARN = Finding(id="node", status="warn", host="web1", message="node is old", next="plan")


def test_a_warning_does_not_stop() -> None:
    outcome(WARN).require_green()


def test_red_findings_are_told_together() -> None:
    changed = HostKeyChanged("the host key of web2 changed", hint="compare it", host="web2")

    with pytest.raises(PreflightRed) as raised:
        outcome(RED, WARN, Finding.of(changed, "reachable")).require_green()

    assert raised.value.exit_code == 6
    assert raised.value.message == "disk is full (and 1 more)"
    assert raised.value.hint == "free disk"
    assert raised.value.cause == "web1: disk is full\nweb2: the host key of web2 changed"


def test_one_failure_is_raised_as_itself() -> None:
    changed: ChangeoverError = HostKeyChanged("it changed", hint="compare it", host="web2")

    with pytest.raises(CheckRed) as raised:
        outcome(WARN, Finding.of(changed, "reachable")).require_green()

    assert raised.value is changed


@pytest.mark.parametrize(
    ("has", "machine", "said"),
    [
        (("3.11",), "x86_64", []),
        (("3.11", "3.13"), "x86_64", []),
        (("3.13",), "x86_64", ["it has Python 3.13, and the app runs on 3.11"]),
        ((), "x86_64", ["it has Python in no version, and the app runs on 3.11"]),
        (("3.11",), "aarch64", ["it is aarch64, and bundles built here are for x86_64"]),
    ],
)
def test_a_release_in_python_needs_its_interpreter_and_processor(
    has: tuple[str, ...], machine: str, said: list[str]
) -> None:
    facts = replace(SOUND, interpreters=has, machine=machine)
    needed = Interpreter(version="3.11", machine="x86_64")

    found = list(interpreter.findings("web1", facts, needed, "changeover provision"))

    assert [f.message for f in found if f.status == "red"] == said
    assert all(f.next for f in found if f.status == "red")
