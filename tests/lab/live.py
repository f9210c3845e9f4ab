"""A lab on which a release is live, and what of it must be as it was after a refusal."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from changeover.lab.vault import KEPT, write_vault

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from .conftest import Lab

CHECKOUT = Path(__file__).resolve().parents[2]
APP = "nox-api"
LIVE = "7.0.0"
LIVE_SNAPSHOT = "live"
# Everything that a deployment may change on a host, its schema and its ledger among them.
CONDITION = r"""
set -eo pipefail
find /opt /etc/changeover /etc/nginx /etc/systemd/system /etc/tmpfiles.d /run/nox-api \
  /var/lib/changeover /var/backups/changeover \
  '(' -type f -exec sha256sum {} + ')' -o '(' -type l -printf '%p -> %l\n' ')' | LC_ALL=C sort
systemctl show 'nox-api-*' --property=Id,ActiveState,InvocationID
# but for what rehearsals have noted
noted='--exclude-table=changeover.measurement --exclude-table=changeover.undo --exclude-table=changeover.coexisting'
cd / && runuser -u postgres -- pg_dump --schema-only $noted nox_api | grep -v restrict
runuser -u postgres -- pg_dump --data-only --schema=changeover $noted nox_api | grep -v restrict
"""
SERVES = "for i in $(seq 120); do test -S /run/nox-api/current/http.sock && exit 0; sleep 0.5; done; exit 1"
Event = dict[str, Any]


def make_live(lab: Lab) -> None:
    """Deploy the release on a provisioned lab, and keep the disks as snapshot ``live``."""
    lab.changeover("deploy", LIVE, "--yes", "--env", str(lab.identity.inventory))
    lab.snapshot(LIVE_SNAPSHOT)
    lab.ssh("host1", SERVES)


def back_to_live(lab: Lab) -> None:
    """Return the disks to the snapshot, and wait until the release serves again."""
    lab.reset(LIVE_SNAPSHOT)
    lab.ssh("host1", SERVES)


def condition(lab: Lab) -> list[str]:
    """Return what `status` tells, and a line for every file, unit, column and ledger row."""
    told = lab.changeover("status", "--json", "--env", str(lab.identity.inventory)).stdout
    states = [line for line in told.splitlines() if json.loads(line)["type"] == "host"]
    assert states, told
    return [*states, *lab.ssh("host1", CONDITION).splitlines()]


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of the live lab, with copies to make mistakes in.

    Args:
        lab: The lab; nothing of it is edited.
        inventory: A copy of its inventory: what ``--env`` takes.
        root: A project root: links to the checkout's directories, each of which may be replaced.
        before: The condition that the hosts were in and must be in.
    """

    lab: Lab
    inventory: Path
    root: Path
    before: list[str]

    @property
    def environment(self) -> dict[str, str]:
        return {"CHANGEOVER_LAB": self.lab.name, "CHANGEOVER_ROOT": str(self.root)}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``changeover WORDS --env COPY`` and return how it ended."""
        as_typed = replace(self.lab, environment={**self.environment, **environment})
        return as_typed.changeover(*words, "--env", str(self.inventory), status=None)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``changeover WORDS --env COPY --json`` and let it run."""
        as_typed = replace(self.lab, environment={**self.environment, **environment})
        return as_typed.begin(*words, "--env", str(self.inventory))

    def refused(self, *words: str, status: int, **environment: str) -> Event:
        """Run a command that must be refused and change nothing; return the error it told."""
        done = self.run(*words, "--json", **environment)
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        error: Event = json.loads(done.stdout.splitlines()[-1])
        assert (error["type"], error["exit"]) == ("error", status), said
        for part in (error["message"], error["host"], error["next"]):
            assert part is None or str(part) in done.stderr, said
        assert error["next"], said
        self.assert_unchanged()
        return error

    def assert_unchanged(self, besides: str | None = None) -> None:
        """Fail where a host is not in the condition it was in, but for lines that match a pattern."""
        after = condition(self.lab)
        signs = {line: "-" if line in self.before else "+" for line in {*self.before} ^ {*after}}
        changed = [
            f"{sign} {line}"
            for line, sign in signs.items()
            if not besides or not re.search(besides, line)
        ]
        if changed:
            pytest.fail("\n".join(["the host changed:", *changed]))

    def edit(self, file: str, change: Callable[[Event], None]) -> None:
        """Change the document of a file of the inventory's copy."""
        path = self.inventory / file
        document = yaml.safe_load(path.read_text())
        change(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def edit_vault(self, change: Callable[[Event], None]) -> None:
        """Change the secrets of the inventory's copy, and encrypt them as they were."""
        state = self.lab.identity.state
        secrets = json.loads((state / KEPT).read_text())
        change(secrets)
        vault = self.inventory / "group_vars/all/vault.yml"
        write_vault(vault, secrets, state / "keys" / "vault-password")

    def link_what_provisions(self) -> None:
        """Have the project root hold what `provision` runs, too."""
        for name in ("playbooks", "roles", "ansible.cfg"):
            if not (self.root / name).exists():
                (self.root / name).symlink_to(CHECKOUT / name)

    def own(self, directory: str) -> Path:
        """Make a directory of the project root a copy, where it was a link, and return it."""
        path = self.root / directory
        if path.is_symlink():
            original = path.resolve()
            path.unlink()
            shutil.copytree(original, path, ignore=shutil.ignore_patterns("node_modules"))
        return path


def user_of(lab: Lab, work: Path, before: list[str] | None = None) -> User:
    """Return a user of a lab whose copies of its inventory and of a project are in a folder."""
    shutil.copytree(lab.identity.inventory, work / "inventory")
    root = make_root(work / "project")
    return User(lab=lab, inventory=work / "inventory", root=root, before=before or [])


def make_root(root: Path) -> Path:
    """Make a project root that is the checkout, but for what its user replaces."""
    (root / "inventories").mkdir(parents=True)
    (CHECKOUT / "build").mkdir(exist_ok=True)
    for name in ("apps", "build", "templates"):
        (root / name).symlink_to(CHECKOUT / name)
    return root
