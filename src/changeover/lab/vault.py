"""Draw the lab's secrets once, keep them, and write them as an encrypted variable file."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import yaml

from changeover.lab.state import write_private

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KEPT = "secrets.json"
# Those of the variables that hold secrets by app.
BY_APP = ("changeover_secrets", "changeover_database_passwords", "changeover_cache_passwords")
RANDOM_BYTES = 32
Tree = dict[str, Any]


def draw(names: Tree | list[str] | None, kept: Tree) -> Tree:
    """Return a secret for every name of a nested description; those kept stay as they are.

    Args:
        names: A mapping of mappings down to lists of names.
        kept: What was drawn before, in the shape that this function returns.
    """
    if isinstance(names, list):
        return {name: kept.get(name) or secrets.token_hex(RANDOM_BYTES) for name in names}
    return {name: draw(below, kept.get(name, {})) for name, below in (names or {}).items()}


def lab_secrets(tracked: Path, state: Path) -> Tree:
    """Return the lab's secrets as variables; new names of ``secrets.yml`` get new values."""
    names = yaml.safe_load((tracked / "secrets.yml").read_text())
    file = state / KEPT
    kept = json.loads(file.read_text()) if file.is_file() else {}
    drawn = draw(names, kept)
    if drawn != kept:
        write_private(file, json.dumps(drawn, indent=1))
    return drawn


def of_apps(secrets: Tree, apps: Collection[str]) -> Tree:
    """Return the secrets without those of other apps."""
    return {
        name: {app: kept for app, kept in below.items() if app in apps} if name in BY_APP else below
        for name, below in secrets.items()
    }


def write_vault(file: Path, variables: Tree, password_file: Path) -> None:
    """Write variables as a vault, unless the file already holds just these under this password."""
    from ansible.constants import DEFAULT_VAULT_IDENTITY  # noqa: PLC0415 - slow to import
    from ansible.errors import AnsibleError  # noqa: PLC0415 - as above
    from ansible.parsing.vault import VaultLib, VaultSecret  # noqa: PLC0415 - as above

    secret = VaultSecret(password_file.read_bytes().strip())
    library = VaultLib([(DEFAULT_VAULT_IDENTITY, secret)])
    text = yaml.safe_dump(variables, sort_keys=True)
    if file.is_file():
        try:
            if library.decrypt(file.read_bytes()).decode() == text:
                return
        except AnsibleError:
            file.unlink()
    write_private(file, library.encrypt(text.encode(), secret=secret).decode())
