"""Facts and uploads through pyinfra against a real host, and hosts that cannot be asked."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from changeover import inventory, parallel
from changeover.errors import ChangeoverError
from changeover.executors import place
from changeover.executors.preflight import facts

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

    from changeover.bundle import Bundle
    from changeover.inventory import Environment

pytestmark = pytest.mark.lab
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(lab_single: Lab) -> Environment:
    """Return the lab's environment with the administrator in the deploy user's place.

    The host is fresh: provisioning makes the deploy user.
    """
    read = inventory.load(str(lab_single.inventory), root=CHECKOUT)
    keys = {
        "changeover_deploy_user": "root",
        "changeover_deploy_key": str(read.deploy_key.with_name("admin")),
    }
    return dataclasses.replace(read, variables={**read.variables, **keys})


def one(answers: dict[str, parallel.Answer | ChangeoverError]) -> parallel.Answer | ChangeoverError:
    assert len(answers) == 1
    return next(iter(answers.values()))


def test_a_host_tells_its_facts(environment: Environment) -> None:
    asked = {"releases": "/opt/nox-api/releases"}
    found = facts.gather(environment, environment.hosts, ("/nonexistent",), asked)["host1"]

    assert isinstance(found, facts.HostFacts)
    assert str(found.system).startswith("Debian GNU/Linux 12")
    assert str(found.versions["python"]).startswith("3.11")
    assert found.versions["node"] is None
    assert {disk.purpose: disk.free_bytes > 10**8 for disk in found.disks} == {
        "releases": True,
        "database": True,
    }
    assert found.certificates == {"/nonexistent": None}
    assert found.clock_skew < 1


def test_a_port_is_seen_with_the_unit_that_took_it(
    lab_single: Lab, environment: Environment
) -> None:
    serve = "systemd-run --unit=stranger python3 -m http.server 443"
    lab_single.ssh("host1", f"{serve}; until ss -Htln | grep -q :443; do sleep 0.1; done")
    try:
        found = facts.gather(environment, environment.hosts, (), {})["host1"]
    finally:
        lab_single.ssh("host1", "systemctl stop stranger")

    assert isinstance(found, facts.HostFacts)
    assert {(one.port, one.unit) for one in found.listeners} == {(443, "stranger.service")}


def test_a_changed_host_key_is_refused(environment: Environment, tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True
    )
    kind, key, *_ = (tmp_path / "key.pub").read_text().split()
    known = tmp_path / "known_hosts"
    known.write_text(f"{environment.hosts[0].address} {kind} {key}\n")
    changed = {**environment.variables, "changeover_known_hosts": str(known)}

    answer = one(
        parallel.ask(
            dataclasses.replace(environment, variables=changed), environment.hosts, "echo here"
        )
    )

    assert isinstance(answer, ChangeoverError)
    assert type(answer).__name__ == "HostKeyChanged"
    assert (answer.exit_code, answer.host) == (6, "host1")
    assert str(known) in answer.hint


def test_a_host_that_nobody_recorded_is_refused(environment: Environment, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    changed = {**environment.variables, "changeover_known_hosts": str(known)}

    answer = one(
        parallel.ask(
            dataclasses.replace(environment, variables=changed), environment.hosts, "echo here"
        )
    )

    assert isinstance(answer, ChangeoverError)
    assert answer.message.endswith("is not recorded")
    assert known.read_text() == ""


def test_a_host_that_is_away_does_not_hold_up_the_others(environment: Environment) -> None:
    away = dataclasses.replace(environment.hosts[0], name="away", port=2222)

    answers = parallel.ask(environment, (environment.hosts[0], away), "echo here")

    assert answers["host1"] == parallel.Answer(output="here")
    assert isinstance(answers["away"], ChangeoverError)
    assert type(answers["away"]).__name__ == "HostUnreachable"


def test_a_refused_key_is_told_as_such(environment: Environment, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    changed = {**environment.variables, "changeover_deploy_key": str(key)}

    answer = one(
        parallel.ask(
            dataclasses.replace(environment, variables=changed), environment.hosts, "echo here"
        )
    )

    assert type(answer).__name__ == "SignInRefused"


def test_an_upload_arrives_whole_and_is_not_repeated(
    lab_single: Lab, environment: Environment, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4096
    source = tmp_path / "bundle"
    source.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    file = parallel.File(source=source, name="x.bundle", sha256=digest)
    events: list[dict[str, object]] = []
    lab_single.ssh("host1", "rm -rf /srv/in; mkdir /srv/in; echo old >/srv/in/x.bundle")

    first = one(parallel.send(environment, environment.hosts, [file], "/srv/in", events.append))
    again = one(parallel.send(environment, environment.hosts, [file], "/srv/in", events.append))

    assert first == parallel.Answer(sent_bytes=len(content))
    assert again == parallel.Answer(sent_bytes=0)
    assert [(event["type"], event["host"], event["sent_bytes"]) for event in events] == [
        ("upload", "host1", len(content))
    ]
    assert lab_single.ssh("host1", "sha256sum /srv/in/x.bundle").split()[0] == digest
    assert lab_single.ssh("host1", "ls -A /srv/in; stat -c %a /srv/in/x.bundle") == "x.bundle\n600"


def test_a_full_disk_leaves_what_was_there(
    lab_single: Lab, environment: Environment, tmp_path: Path
) -> None:
    source = tmp_path / "bundle"
    source.write_bytes(b"x" * 3_000_000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    file = parallel.File(source=source, name="x.bundle", sha256=digest)
    lab_single.ssh("host1", "mkdir -p /srv/small; mount -t tmpfs -o size=1m none /srv/small")
    lab_single.ssh("host1", "echo old >/srv/small/x.bundle")
    try:
        answer = one(
            parallel.send(environment, environment.hosts, [file], "/srv/small", lambda _: None)
        )
        there = lab_single.ssh("host1", "ls -A /srv/small; cat /srv/small/x.bundle")
    finally:
        lab_single.ssh("host1", "umount /srv/small")

    assert type(answer).__name__ == "UploadFailed"
    assert isinstance(answer, ChangeoverError)
    assert answer.host == "host1"
    assert there == "x.bundle\nold"


def test_place_sends_a_bundle_and_its_signature(
    lab_single: Lab, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.bundle"
    path.write_bytes(b"the bundle")
    signature = tmp_path / "b.bundle.sig"
    signature.write_text("signed")
    digest = hashlib.sha256(b"the bundle").hexdigest()
    monkeypatch.setattr(place, "INCOMING", "/srv/incoming")
    lab_single.ssh("host1", "rm -rf /srv/incoming; mkdir /srv/incoming")

    built = SimpleNamespace(path=path, digest=digest, signature=signature)
    sent = place.upload(environment, environment.hosts, cast("Bundle", built), lambda _: None)

    assert sent == len(b"the bundle") + len("signed")
    assert lab_single.ssh("host1", "ls /srv/incoming").split() == [
        f"{digest}.bundle",
        f"{digest}.bundle.sig",
    ]
