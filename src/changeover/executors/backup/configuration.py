"""The live release's environment files, units and site: collected, packed, encrypted, opened.

They hold secrets. In clear they exist in this process's memory only.
"""

from __future__ import annotations

import base64
import io
import tarfile
from typing import TYPE_CHECKING, Any

from changeover.executors.backup.failures import NotEncryptable, NotOpened
from changeover.remote.fleet import action

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.executors.backup.vault import Vault

MEMBER = "configuration.tar.age"


def collect(vault: Vault, colour: str) -> bytes:
    """Return a tar of the colour's files from every app host: ``<host>/env``, units, the site."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for host in vault.app_hosts:
            answer = vault.run_agent(host, [action("collect", colour=colour)])["collect"]
            for name, text in sorted(_files(answer)):
                content = text.encode()
                member = tarfile.TarInfo(f"{host}/{name}")
                member.size, member.mode = len(content), 0o600
                archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _files(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "env", answer["env"]
    for name, text in answer["units"].items():
        yield f"units/{name}", text
    if answer.get("site"):
        yield "site.conf", answer["site"]


def encrypt(vault: Vault, content: bytes) -> bytes:
    """Encrypt to the environment's recipients.

    Raises:
        NotEncryptable: There is none, or one is not an age recipient.
    """
    import pyrage  # noqa: PLC0415 - only a new backup needs it

    hint = "set changeover_backup_recipients to the environment's age1... recipients"
    if not vault.recipients:
        message = f"environment {vault.environment} has no backup recipients"
        raise NotEncryptable(message, hint=hint)
    try:
        known = [pyrage.x25519.Recipient.from_str(one) for one in vault.recipients]
    except pyrage.RecipientError as error:
        message = f"a backup recipient of {vault.environment} is not an age recipient"
        raise NotEncryptable(message, hint=hint, cause=str(error)) from error
    sealed: bytes = pyrage.encrypt(content, known)
    return sealed


def open_attachment(vault: Vault, backup: str, identity: Path) -> dict[str, bytes]:
    """Return the configuration in a backup, decrypted: ``<host>/<file>`` to content.

    Args:
        vault: Where the backup is.
        backup: Which one.
        identity: File with the age identity of one of its recipients.

    Raises:
        NotOpened: This identity does not open it.
        BackupDamaged: It is not as it was given.
    """
    request = action("backup_fetch", backup=backup, member=MEMBER)
    sealed = base64.b64decode(vault.ask(request)["backup_fetch"]["content_base64"])
    with tarfile.open(fileobj=io.BytesIO(_decrypt(sealed, backup, identity))) as archive:
        return {
            member.name: opened.read()
            for member in archive.getmembers()
            if (opened := archive.extractfile(member)) is not None
        }


def _decrypt(sealed: bytes, backup: str, identity: Path) -> bytes:
    import pyrage  # noqa: PLC0415 - only opening a backup needs it

    try:
        words = identity.read_text().split()
        keys = [word for word in words if word.startswith("AGE-SECRET-KEY-")]
        content: bytes = pyrage.decrypt(
            sealed, [pyrage.x25519.Identity.from_str(key) for key in keys]
        )
    except (pyrage.DecryptError, pyrage.IdentityError, OSError) as error:
        raise NotOpened(
            f"{identity} does not open the configuration in {backup}",
            hint="set changeover_backup_identity to the identity file of one of its recipients",
            cause=str(error),
        ) from error
    return content
