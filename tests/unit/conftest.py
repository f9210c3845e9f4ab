"""A small project on disk: one environment with a vault, one app with three releases."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import inventory, release

if TYPE_CHECKING:
    from changeover.inventory import Environment
    from changeover.release import App, Release

PROJECT = Path(__file__).parent / "project"


@dataclass(frozen=True)
class Project:
    root: Path

    @property
    def environment(self) -> Environment:
        return inventory.load("demo", root=self.root)

    @property
    def app(self) -> App:
        return release.load_app(self.root, "hello")

    @property
    def releases(self) -> dict[str, Release]:
        return release.load_releases(self.root, "hello")

    @property
    def variables(self) -> Path:
        return self.root / "inventories/demo/group_vars/all/main.yml"

    @property
    def vault(self) -> Path:
        return self.root / "inventories/demo/group_vars/all/vault.yml"

    @property
    def bundles(self) -> Path:
        return self.root / "build/bundles"

    def host_settings(self, host: str) -> Path:
        directory = self.root / "inventories/demo/host_vars"
        directory.mkdir(exist_ok=True)
        return directory / f"{host}.yml"

    def release_file(self, version: str) -> Path:
        return self.root / f"apps/hello/releases/{version}/release.yml"

    def write_vault(self, text: str) -> None:
        from ansible.parsing.vault import VaultLib, VaultSecret  # noqa: PLC0415 - slow to import

        password = (self.root / "vault_password").read_bytes().strip()
        self.vault.write_bytes(VaultLib([("default", VaultSecret(password))]).encrypt(text))

    def edit(self, file: Path, old: str, new: str) -> None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    shutil.copytree(PROJECT, root)
    for name in ("CHANGEOVER_ROOT", "CHANGEOVER_RELEASES", "CHANGEOVER_LAB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(root / "vault_password"))
    return Project(root)


def make_key(directory: Path, name: str) -> Path:
    directory.mkdir(exist_ok=True)
    key = directory / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture
def signing_key(project: Project) -> Path:
    return make_key(project.root / "keys", "signing")


@pytest.fixture
def signers(signing_key: Path) -> list[str]:
    return [signing_key.with_name("signing.pub").read_text()]
