"""Every host: who gets in, what runs, what listens, and what the deploy user may do."""

# ruff: noqa: S101 - asserts are what a check is made of
from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from changeover.executors.testinfra_suite.conftest import Server

AGENT = "/usr/local/lib/changeover/agent"
PUBLIC_PORTS = {"app": {80, 443}, "lb": {80, 443}, "monitoring": {3000, 9090, 9093}}
PRIVATE_PORTS = {"db": {5432, 8432}, "cache": {6379}, "backup": {8432}}
# Exporters; the firewall opens them to the monitoring hosts alone.
FIGURES = set(range(9100, 9200))


@pytest.mark.parametrize("service", ["ssh", "nftables"])
def test_service_runs_and_comes_back_after_a_boot(server: Server, service: str) -> None:
    """SSH and the firewall are active and enabled."""
    assert server.unit(service) == "active enabled"


def test_no_failed_units(server: Server) -> None:
    """No unit has failed."""
    failed = server.output("systemctl --failed --plain --no-legend --no-pager")

    assert [line.split()[0] for line in failed.splitlines()] == []


def test_only_known_programs_listen(server: Server) -> None:
    """Nothing listens beyond this host but what its groups need."""
    public = {22} | {port for group in server.groups for port in PUBLIC_PORTS.get(group, ())}
    private = {port for group in server.groups for port in PRIVATE_PORTS.get(group, ())} | FIGURES
    strangers = []
    for line in server.output("ss -Htuln").splitlines():
        address, _, port = line.split()[4].rpartition(":")
        if re.match(r"(127\.|\[::1\]|\[::ffff:127\.)", address) or line.startswith("udp"):
            continue
        inside = address.split("%")[0] == server.address
        if int(port) not in public and not (inside and int(port) in private):
            strangers.append(f"{address}:{port}")

    assert strangers == []


def test_firewall_drops_what_is_not_named(root: Server) -> None:
    """The firewall's input chain drops by default."""
    rules = json.loads(root.output("nft --json list table inet changeover"))["nftables"]
    chains = [entry["chain"] for entry in rules if "chain" in entry]

    assert [chain["policy"] for chain in chains if chain.get("hook") == "input"] == ["drop"]


def test_passwords_open_nothing(root: Server) -> None:
    """SSH takes keys alone, and the deploy user has no password."""
    settings = root.output("sshd -T 2>/dev/null").lower().splitlines()
    user = root.facts["deploy_user"]
    kept = root.output(f"getent shadow {user}").split(":")[1]

    assert "passwordauthentication no" in settings
    assert "permitrootlogin yes" not in settings
    assert kept.startswith(("!", "*"))


def test_agent_is_in_place(server: Server) -> None:
    """The agent belongs to root and nobody else can change it."""
    assert server.mode(AGENT) == "root:root 755"
    assert server.mode("/usr/local/lib/changeover") == "root:root 755"
    assert server.output(f"head -c 22 {AGENT}") == "#!/usr/bin/python3 -I"


def test_agent_is_all_that_the_deploy_user_may_run_as_root(server: Server) -> None:
    """Sudo gives the deploy user the agent without arguments, and nothing else."""
    rights = server.output("sudo -n -l")
    allowed = [line.strip() for line in rights.splitlines() if line.startswith("    (")]

    assert allowed == [f'(root) NOPASSWD: {AGENT} ""']
    assert not server.succeeds("sudo -n true")
    assert not server.succeeds(f"sudo -n {AGENT} anything")
    assert not server.succeeds(f"sudo -n PYTHONPATH=/tmp {AGENT} </dev/null")


def test_deploy_user_cannot_change_what_root_runs(server: Server) -> None:
    """What the deploy user can write, root never executes."""
    places = [
        "/usr/local/lib/changeover",
        AGENT,
        "/etc/changeover",
        "/etc/systemd/system",
        "/etc/nginx",
        *(f"/opt/{app}/releases" for app in server.apps),
        *(f"/run/{app}" for app in server.apps),
    ]

    assert [place for place in places if server.succeeds(f"test -w {place}")] == []
    assert server.output(f"id -Gn {server.facts['deploy_user']}") == server.facts["deploy_user"]


def test_incoming_is_the_deploy_users_own(server: Server) -> None:
    """Uploads land where only the deploy user and root can read them."""
    user = server.facts["deploy_user"]

    assert server.mode("/var/lib/changeover/incoming") == f"{user}:{user} 700"


def test_signers_are_those_of_the_environment(server: Server) -> None:
    """The host accepts bundles of the environment's signers, and of nobody else."""
    lines = server.output("cat /etc/changeover/allowed_signers").splitlines()
    wanted = {" ".join(key.split()[:2]) for key in server.facts["signers"]}
    found = {" ".join(line.split()[2:4]) for line in lines}

    assert server.mode("/etc/changeover/allowed_signers") == "root:root 644"
    assert found == wanted
    assert all(line.startswith('release namespaces="changeover-bundle" ') for line in lines)


def test_host_knows_what_it_is(server: Server) -> None:
    """The host's own record names its groups and apps."""
    record = json.loads(server.output("cat /etc/changeover/host.json"))

    assert server.mode("/etc/changeover/host.json") == "root:root 644"
    assert set(record["groups"]) == set(server.groups)
    assert set(record["apps"]) == set(server.apps)


def test_state_of_deployments_is_roots_own(root: Server) -> None:
    """Journals, leases and environment files are closed to everyone but root."""
    for app in root.apps:
        assert root.mode(f"/var/lib/changeover/{app}") == "root:root 700"
        assert root.mode(f"/etc/changeover/{app}") == "root:root 700"
    loose = "find /etc/changeover/*/ /var/lib/changeover/*/ -type f -perm /077 -not -path '*/incoming/*'"

    assert root.output(f"{loose} -printf '%p\\n'") == ""
