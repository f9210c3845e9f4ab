"""Provisioning on a real host: what a check tells, what a second run does, what drifted comes back."""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import FirstRun, Lab

pytestmark = pytest.mark.lab

HOST = "host1"
NGINX_CONF = "/etc/nginx/nginx.conf"


class Platform:
    """One lab host that is provisioned as a user would."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.inventory = lab.inventory

    def run(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        done = self.lab.changeover(*words, "--env", str(self.inventory), "--json", status=status)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def changed(self, *words: str) -> list[str]:
        events = self.run("provision", *words)
        return [event["task"] for event in events if event.get("status") == "changed"]

    def drifted(self, *, status: int) -> list[str]:
        events = self.run("drift", status=status)
        found = [event for event in events if event["type"] == "drift"]
        return [one["name"] for event in found for one in event["differences"]]

    @property
    def address(self) -> str:
        address: str = self.lab.hosts[HOST]["address"]
        return address

    def served(self) -> bytes:
        """Return the certificate that a new connection is shown."""
        name = self.variables["changeover_public_names"]["nox-api"]
        trusted = ssl.create_default_context(
            cafile=self.variables["changeover_tls"]["ca_certificate"]
        )
        with (
            socket.create_connection((self.address, 443), timeout=5) as raw,
            trusted.wrap_socket(raw, server_hostname=name) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""

    @property
    def variables(self) -> dict[str, Any]:
        directory: Path = self.inventory / "group_vars/all"
        found: dict[str, Any] = {}
        for name in ("main.yml", "lab.yml"):
            found |= yaml.safe_load((directory / name).read_text())
        return found


@pytest.fixture(scope="module")
def platform(provisioned_single: Lab) -> Platform:
    return Platform(provisioned_single)


def test_a_check_of_a_bare_host_tells_what_it_would_do_and_does_nothing(
    first_run: FirstRun,
) -> None:
    assert "would install" in first_run.checked
    assert "no such user" in first_run.left_by_check
    assert first_run.changed


def test_a_second_run_changes_only_what_was_changed_by_hand(platform: Platform) -> None:
    assert platform.drifted(status=0) == []
    platform.lab.ssh(HOST, f"sed -i 's/server_tokens off/server_tokens on/' {NGINX_CONF}")

    drifted = platform.drifted(status=6)
    checked = platform.run("provision", "--check")
    untouched = platform.lab.ssh(HOST, f"grep -c 'server_tokens on' {NGINX_CONF}")
    brought_back = platform.changed()

    assert drifted == [NGINX_CONF]
    diffs = "\n".join(event["diff"] for event in checked if event["type"] == "provision-diff")
    assert "-    server_tokens on;" in diffs
    assert "+    server_tokens off;" in diffs
    assert untouched == "1"
    assert brought_back == ["nginx : Write the configuration of Nginx", "nginx : Reload Nginx"]
    assert platform.drifted(status=0) == []


@pytest.mark.parametrize("port", [5432, 6379])
def test_database_and_cache_are_not_reachable_from_elsewhere(platform: Platform, port: int) -> None:
    with pytest.raises(TimeoutError):
        socket.create_connection((platform.address, port), timeout=2)

    # The same packets are answered on the host itself, so it is the firewall that drops them.
    command = f"timeout 2 bash -c '</dev/tcp/{platform.address}/{port}' && echo open"
    assert platform.lab.ssh(HOST, command) == "open"


def test_a_certificate_whose_reload_was_red_is_served_after_the_next_run(
    platform: Platform,
) -> None:
    broken, chain = (
        "/etc/nginx/sites-enabled/broken.conf",
        "/etc/ssl/changeover/nox-api/fullchain.pem",
    )
    before = platform.served()
    platform.lab.ssh(HOST, f"echo 'no directive;' >{broken}; rm {chain}")

    try:
        told = platform.run("provision", status=1)
    finally:
        platform.lab.ssh(HOST, f"rm {broken}")
    assert "Load the certificates" in told[-1]["message"]
    assert platform.served() == before
    written = ssl.PEM_cert_to_DER_cert(platform.lab.ssh(HOST, f"openssl x509 -in {chain}") + "\n")
    assert written != before

    changed = platform.changed()

    assert "tls : Load the certificates" in changed
    assert platform.served() == written
    assert platform.changed() == []


def test_before_a_release_the_site_answers_503_under_its_own_certificate(
    platform: Platform,
) -> None:
    name = platform.variables["changeover_public_names"]["nox-api"]
    trusted = ssl.create_default_context(
        cafile=platform.variables["changeover_tls"]["ca_certificate"]
    )
    with (
        socket.create_connection((platform.address, 443), timeout=5) as raw,
        trusted.wrap_socket(raw, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = secure.recv(4096).decode()

    assert answer.startswith("HTTP/1.1 503 ")
    assert "Server: nginx\r\n" in answer


def test_the_deploy_user_may_run_the_agent_and_nothing_else(platform: Platform) -> None:
    def as_deploy(command: str) -> str:
        return platform.lab.ssh(
            HOST, f"runuser -u deploy -- sudo -n {command} </dev/null 2>&1; echo status $?"
        )

    assert '"type":"version"' in as_deploy("/usr/local/lib/changeover/agent").replace(" ", "")
    for command in ("/usr/local/lib/changeover/agent deadman x", "id", "/bin/sh -c id"):
        said = as_deploy(command)
        assert "a password is required" in said
        assert said.endswith("status 1")


def test_the_apps_cache_user_reaches_its_own_keys_alone(platform: Platform) -> None:
    acl = platform.lab.ssh(HOST, "cat /etc/redis/users.acl")

    assert "user default off" in acl
    assert "~nox-api:*" in acl
    refused = platform.lab.ssh(HOST, "redis-cli ping 2>&1")
    assert "NOAUTH" in refused
