"""preflight and verify on a provisioned host: green as it is, red in each thing that is broken."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import PROVISIONED_SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Lab

pytestmark = pytest.mark.lab
APP = "nox-api"
FOLDER = f"/etc/ssl/changeover/{APP}"


@pytest.fixture
def lab(provisioned_single: Lab) -> Iterator[Lab]:
    provisioned_single.ssh("host1", "systemctl is-system-running --wait", status=None)
    yield provisioned_single
    provisioned_single.reset(PROVISIONED_SNAPSHOT)


def events(lab: Lab, *words: str, status: int) -> list[dict[str, Any]]:
    done = lab.changeover(*words, "--env", str(lab.inventory), "--json", status=status)
    return [json.loads(line) for line in done.stdout.splitlines()]


def red(found: list[dict[str, Any]]) -> set[str]:
    return {event["id"] for event in found if event["type"] == "check" and not event["ok"]}


def test_a_provisioned_host_is_green(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "verify.xml"

    found = events(lab, "verify", "--junit", str(file), status=0)

    assert found[0]["type"] == "version"
    assert red(found) == set()
    assert {event["status"] for event in found[1:-1]} == {"passed"}
    suite = ET.parse(file).getroot()[0]  # noqa: S314 - our own file
    assert (suite.get("failures"), suite.get("tests")) == ("0", str(len(found) - 2))


BREAK_HOST = f"""
chmod 0644 {FOLDER}/privkey.pem
usermod -aG {APP} deploy
chmod 0777 /opt/{APP}/releases
chmod 0755 /etc/changeover/{APP}
chmod 0777 /usr/local/lib/changeover
chmod 0755 /var/lib/changeover/incoming
echo 'deploy ALL=(root) NOPASSWD: /bin/true' >/etc/sudoers.d/more
sed 's/release/other/' /etc/changeover/allowed_signers >>/etc/changeover/allowed_signers
echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/05-more.conf
echo 'nonsense on;' >/etc/nginx/sites-enabled/more.conf
ln -s 9.9.9-deadbeef /run/{APP}/current
systemctl stop nftables; nft flush ruleset
systemd-run --unit=stranger python3 -m http.server 8099
until ss -Htln | grep -q :8099; do sleep 0.1; done
systemd-run --unit=broken false
echo 'host all all 0.0.0.0/0 trust' >>/etc/postgresql/15/main/pg_hba.conf
runuser -u postgres -- psql -qd nox_api -c 'GRANT CREATE ON SCHEMA public TO nox_api_app'
sed -i 's/^user default off/user default on nopass/' /etc/redis/users.acl
chmod 0644 /etc/redis/users.acl
install -D -m 0644 /dev/null /var/backups/changeover/{APP}/one/dump
"""


def test_each_broken_thing_is_named(lab: Lab) -> None:
    lab.ssh("host1", BREAK_HOST)

    assert red(events(lab, "verify", status=6)) == {
        "test_agent_is_all_that_the_deploy_user_may_run_as_root",
        "test_agent_is_in_place",
        "test_app_role_cannot_change_the_schema",
        "test_backups_are_closed",
        "test_certificate_is_public_and_its_key_is_not",
        "test_deploy_user_cannot_change_what_root_runs",
        "test_firewall_drops_what_is_not_named",
        "test_incoming_is_the_deploy_users_own",
        "test_live_colour_is_whole",
        "test_nginx_configuration_is_valid",
        "test_no_failed_units",
        "test_nobody_enters_without_a_password",
        "test_nothing_but_the_live_colour_starts_at_boot",
        "test_only_known_programs_listen",
        "test_passwords_open_nothing",
        "test_redis_files_are_closed",
        "test_redis_users_are_the_apps_alone",
        "test_releases_belong_to_root",
        "test_service_runs_and_comes_back_after_a_boot",
        "test_signers_are_those_of_the_environment",
        "test_sockets_are_closed_to_others",
        "test_state_of_deployments_is_roots_own",
    }


def test_preflight_of_a_sound_host(lab: Lab) -> None:
    found = events(lab, "preflight", "8.0.0", status=0)

    assert red(found) == set()
    asked = {event["id"] for event in found if event["type"] == "check"}
    assert {"node", "npm", "redis", "postgresql", "memory", "disk", "certificate"} <= asked
    assert {"port-80", "port-443", "clock", "database", "app-role", "reachable"} <= asked


NO_TUNNEL_YET = """
sed -i '/^ *PermitOpen/s/ [^ ]*:5432$//' /etc/ssh/sshd_config.d/10-changeover.conf
sshd -T -C user=deploy | grep -qx 'permitopen 127.0.0.1:5432'
systemctl reload ssh
"""


def test_a_host_provisioned_before_is_told_to_be_provisioned(lab: Lab) -> None:
    lab.ssh("host1", NO_TUNNEL_YET)

    found = events(lab, "preflight", "8.0.0", status=0)

    (said,) = (event for event in found if event.get("id") == "app-role")
    assert said["status"] == "warn"
    assert "permits no tunnel to nox_api on host1" in said["message"]
    assert said["next"] == f"changeover provision --env {lab.inventory} --limit host1"


@pytest.mark.parametrize(
    ("broken", "question", "message"),
    [
        (
            (
                "systemctl stop nginx; systemd-run --unit=stranger python3 -m http.server 443;"
                " until ss -Htln | grep -q :443; do sleep 0.1; done"
            ),
            "port-443",
            "port 443 is taken by stranger.service",
        ),
        (
            "mount -t tmpfs -o size=100m none /opt",
            "disk",
            "disk: 0.1 GB free under /opt/nox-api/releases, at least 10.0 GB is needed",
        ),
        (
            (
                "openssl req -x509 -key {folder}/privkey.pem -days 1 -subj /CN=x"
                " -addext subjectAltName=DNS:other.test -out {folder}/fullchain.pem"
            ),
            "certificate",
            "is not made out to",
        ),
        (
            "mv /usr/bin/node /usr/bin/node.away",
            "node",
            "node is not installed, 18.0.0 or newer is needed",
        ),
        (
            "runuser -u postgres -- psql -qc \"ALTER ROLE nox_api_owner PASSWORD 'another'\"",
            "database",
            "",
        ),
        (
            "runuser -u postgres -- psql -qc \"ALTER ROLE nox_api_app PASSWORD 'another'\"",
            "app-role",
            "nox_api on host1 refuses the password of nox_api_app",
        ),
    ],
)
def test_preflight_names_what_is_red(lab: Lab, broken: str, question: str, message: str) -> None:
    lab.ssh("host1", broken.format(folder=FOLDER))

    found = events(lab, "preflight", "8.0.0", status=6)

    # what took the port does not speak TLS
    assert red(found) == {question} | ({"certificate"} if question == "port-443" else set())
    first = next(event for event in found if event["type"] == "check" and not event["ok"])
    assert message in first["message"]
    assert first["next"]
    assert found[-1]["type"] == "error"
    assert found[-1]["exit"] == 6
