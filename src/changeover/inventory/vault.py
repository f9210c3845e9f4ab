"""Open vault files: whole files that ``ansible-vault`` encrypted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.document import Document, DocumentMissing, parse
from changeover.errors import InvalidInput
from changeover.inventory import vault_text
from changeover.inventory.root import located
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "$ANSIBLE_VAULT;"
PASSWORD_VARIABLE = "ANSIBLE_VAULT_PASSWORD_FILE"  # noqa: S105 - the name of a variable
PASSWORD_SECONDS = 30


class VaultLocked(InvalidInput):
    """A vault file is there, and nothing says where its password is."""


class VaultPasswordWrong(InvalidInput):
    """The password does not open the vault file."""


def is_vault(path: Path) -> bool:
    """Tell whether the file is encrypted by ``ansible-vault``."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(MARK)) == MARK.encode()
    except OSError as error:
        raise DocumentMissing(
            f"{path} cannot be read: {error.strerror}", hint=f"create {path} or correct the path"
        ) from error


def unlock(path: Path, password: Secret) -> Document:
    """Decrypt a vault file and parse it; every text in it comes back as a ``Secret``.

    Raises:
        VaultPasswordWrong: The password is another file's.
    """
    content, key = path.read_bytes(), password.reveal().encode()
    try:
        text = (vault_text.opened if vault_text.known(content) else _by_ansible)(
            content, key
        ).decode()
    except ValueError:
        raise VaultPasswordWrong(
            f"the vault password does not open {path}",
            hint=f"ansible-vault view {path}   # try the password that {PASSWORD_VARIABLE} names",
        ) from None
    return parse(text, path, secret=True)


def _by_ansible(content: bytes, password: bytes) -> bytes:
    """Decrypt what is in a format of tomorrow, if Ansible's library can.

    Raises:
        ValueError: It cannot, with this password.
    """
    from ansible.errors import AnsibleError  # noqa: PLC0415 - 0.3 s, paid only where it is needed
    from ansible.parsing.vault import VaultLib, VaultSecret  # noqa: PLC0415 - as above

    try:
        return bytes(VaultLib([("default", VaultSecret(password))]).decrypt(content))
    except AnsibleError as error:
        raise ValueError(str(error)) from error


def sealed(value: object) -> object:
    """Return the value with every text in it wrapped as a ``Secret``."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, dict):
        return {key: sealed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [sealed(inner) for inner in value]
    return value


def password_reader(
    variables: dict[str, Any], directory: Path, root: Path
) -> Callable[[Path], Secret]:
    """Return a function that gives the password for a vault file, read once, when first needed.

    The password file is what ``ANSIBLE_VAULT_PASSWORD_FILE`` names, else the environment's variable
    ``changeover_vault_password_file``. As with Ansible, an executable one is run and prints it.
    """
    known: list[Secret] = []

    def read_password(vault: Path) -> Secret:
        if not known:
            known.append(_password(vault, variables, directory, root))
        return known[0]

    return read_password


def _password(vault: Path, variables: dict[str, Any], directory: Path, root: Path) -> Secret:
    named = os.environ.get(PASSWORD_VARIABLE)
    if named:
        path = Path(named).expanduser()
    elif isinstance(named := variables.get("changeover_vault_password_file"), str):
        path = located(named, directory, root)
    else:
        raise VaultLocked(
            f"{vault} is encrypted, and no password file is named",
            hint=f"export {PASSWORD_VARIABLE}=/path/of/the/password/file",
        )
    hint = f"export {PASSWORD_VARIABLE}=/path/of/the/password/file"
    try:
        text = _printed(path) if os.access(path, os.X_OK) else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise VaultLocked(
            f"the vault password file {path} cannot be read: {reason}", hint=hint
        ) from None
    if not text.strip():
        raise VaultLocked(f"the vault password file {path} is empty", hint=hint)
    return Secret(text.strip())


def _printed(program: Path) -> str:
    done = subprocess.run(
        [str(program.resolve())],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PASSWORD_SECONDS,
    )
    return done.stdout
