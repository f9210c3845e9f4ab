"""What is said where the files that a sign-in needs are not as they must be."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import make_key

from changeover.executors import preflight
from changeover.release.model import Requirements
from changeover.remote import ssh

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Project


def sign_in(project: Project) -> None:
    environment = project.environment
    with ssh.connection(environment, environment.hosts[0]):
        pass


def held_by_preflight(project: Project) -> None:
    preflight.apply(project.environment, "hello", Requirements(), None, print)


@pytest.mark.parametrize("attempt", [sign_in, held_by_preflight])
@pytest.mark.parametrize(
    ("file", "content", "said", "variable"),
    [
        ("known_hosts", None, "is not there", "changeover_known_hosts"),
        ("known_hosts", b"\xff\xfe", "cannot be read", "changeover_known_hosts"),
        ("deploy", None, "is not there", "changeover_deploy_key"),
        ("deploy", b"nonsense\n", "is not an SSH private key", "changeover_deploy_key"),
    ],
)
def test_a_file_to_sign_in_with_that_cannot_be_read_is_told_with_its_variable(
    project: Project,
    attempt: Callable[[Project], None],
    file: str,
    content: bytes | None,
    said: str,
    variable: str,
) -> None:
    make_key(project.root / "keys", "deploy")
    (project.root / "keys/known_hosts").write_text("")
    place = project.root / "keys" / file
    place.unlink()
    if content is not None:
        place.write_bytes(content)

    with pytest.raises(ssh.AccessUnreadable) as caught:
        attempt(project)

    assert caught.value.exit_code == 2
    assert caught.value.message.endswith(f"{place} {said}")
    assert f"{place} ({variable} in inventories/demo/" in caught.value.hint


def test_a_key_with_a_passphrase_is_not_the_host_s_fault(project: Project) -> None:
    key = make_key(project.root / "keys", "deploy")
    (project.root / "keys/known_hosts").write_text("")
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", key], check=True)

    with pytest.raises(ssh.AccessUnreadable, match="asks for a passphrase"):
        sign_in(project)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_is_read(project: Project, kind: str) -> None:
    key = project.root / "keys/deploy"
    key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
    (project.root / "keys/known_hosts").write_text("")

    ssh.require_access(project.environment)
