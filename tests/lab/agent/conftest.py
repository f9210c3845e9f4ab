"""A lab host as provision leaves it, with the agent and a small app's records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.lab.conftest import Lab, own_lab

from changeover import agent_archive

from .host import APP, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = """
set -e
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends nginx python3 >/dev/null 2>&1
rm -f /etc/nginx/sites-enabled/default
id -u deploy >/dev/null 2>&1 || useradd --create-home --shell /bin/bash deploy
id -u sample >/dev/null 2>&1 || useradd --system --user-group sample
usermod -a -G sample www-data
install -d -o deploy -g deploy -m 0700 /home/deploy/.ssh /var/lib/changeover/incoming
install -d /etc/changeover /usr/local/lib/changeover /etc/nginx/changeover/sample /run/sample
echo 'd /run/sample 0755 root root -' >/etc/tmpfiles.d/sample.conf
echo 'deploy ALL=(root) NOPASSWD: /usr/local/lib/changeover/agent ""' >/etc/sudoers.d/changeover
echo 'listen 8080; server_name _;' >/etc/nginx/changeover/sample/listen_http.conf
systemctl restart nginx
"""
HOST_RECORD = {
    "environment": "test",
    "groups": ["app"],
    "nginx": True,
    "apps": {APP: {"user": APP, "group": APP, "database": None}},
}


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """Yield a lab of these tests alone: it replaces what provision would have put on the host."""
    made = own_lab("agent")
    made.purge()
    made.up("single")
    yield made
    made.purge()


@pytest.fixture(scope="package")
def prepared(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a host with nginx, the agent and its records, as provision leaves it."""
    (host,) = lab.hosts.values()
    variables = yaml.safe_load((lab.inventory / "group_vars/all/lab.yml").read_text())
    work = tmp_path_factory.mktemp("bundles")
    agent = work / "agent"
    version = agent_archive.build(agent)
    site = Site(lab, host["address"], variables, work, version)
    site.root(SETUP)
    site.root(
        "cat >/home/deploy/.ssh/authorized_keys && chown deploy: /home/deploy/.ssh/authorized_keys",
        variables["changeover_deploy_public_key"].encode(),
    )
    signers = "".join(
        f'release namespaces="changeover-bundle" {key}\n' for key in variables["changeover_signers"]
    )
    site.root("cat >/etc/changeover/allowed_signers", signers.encode())
    site.root("cat >/etc/changeover/host.json", json.dumps(HOST_RECORD).encode())
    site.root("install -m 0755 /dev/stdin /usr/local/lib/changeover/agent", agent.read_bytes())
    return site


@pytest.fixture
def site(prepared: Site) -> Site:
    """Return the host with nothing placed, switched or locked."""
    prepared.root(
        "systemctl stop --no-block 'changeover-deadman-*' 'changeover-migrator-*' 'changeover-task-*' 'sample-*' 2>/dev/null;"
        "systemctl kill --signal=KILL 'changeover-migrator-*' 'changeover-task-*' 'sample-*' 2>/dev/null;"
        "systemctl stop 'changeover-deadman-*' 'changeover-migrator-*' 'changeover-task-*' 'sample-*' 2>/dev/null;"
        "rm -rf /opt/sample /var/lib/changeover/sample /etc/changeover/sample /run/sample/*"
        " /etc/systemd/system/sample-* /etc/systemd/system/multi-user.target.wants/sample-*"
        " /etc/tmpfiles.d/changeover-sample.conf /etc/nginx/sites-enabled/*.conf"
        " /var/lib/changeover/incoming/*;"
        "systemctl daemon-reload; systemctl reset-failed; systemctl reload nginx"
    )
    prepared.number = 0
    prepared.lock()
    return prepared
