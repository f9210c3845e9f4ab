"""Put what the controller collected and encrypted into a backup."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from changeover.agent.backup import manifests
from changeover.agent.backup.store import damaged, measure, write_sealed
from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from changeover.agent.backup.store import Record, Store

MEMBER = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
MOST_BYTES = 32 << 20
# What begins like this was encrypted; an attachment holds secrets, so nothing else is taken.
ENCRYPTED = b"age-encryption.org/v1\n"


def attach(store: Store, backup: str, member: str, content_base64: str) -> Record:
    """Add an encrypted file to a backup, once: what is there already stays.

    Encrypting the same content twice gives different bytes, so a re-run cannot be told by them.

    Raises:
        ActionError: ``bad-parameter``; ``not-encrypted`` when it is not an age file.
    """
    if not MEMBER.fullmatch(member):
        raise ActionError("bad-parameter", f"{member!r} cannot name an attachment")
    try:
        content = base64.b64decode(content_base64, validate=True)
    except binascii.Error as error:
        raise ActionError("bad-parameter", "the attachment is not base64") from error
    if not content.startswith(ENCRYPTED):
        raise ActionError("not-encrypted", f"attachment {member} is not an age file")
    if len(content) > MOST_BYTES:
        raise ActionError("bad-parameter", f"attachment {member} is over {MOST_BYTES} bytes")
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with store.lock():
        directory = store.present(backup)
        members = manifests.attached(directory)
        if member in members:
            return {"member": member, "skipped": True, **members[member]}
        folder = directory / manifests.ATTACHMENTS
        durable.ensure_directory(folder, 0o700)
        # the file first: one that the record does not know yet is written again by a re-run
        durable.write(folder / member, content)
        write_sealed(
            directory / f"{manifests.ATTACHMENTS}.json",
            {"members": members | {member: facts}},
        )
    return {"member": member, "skipped": False, **facts}


def fetch(store: Store, backup: str, member: str) -> Record:
    """Return an attachment as it was given, still encrypted.

    Raises:
        ActionError: ``attachment-unknown``; ``backup-damaged`` when it is not as it was given.
    """
    directory = store.present(backup)
    facts = manifests.attached(directory).get(member)
    if facts is None:
        raise ActionError("attachment-unknown", f"{backup} has no attachment {member}")
    path = directory / manifests.ATTACHMENTS / member
    if not path.is_file() or measure(path) != facts:
        raise damaged(f"{manifests.ATTACHMENTS}/{member}", "is not as written")
    return {"member": member, "content_base64": base64.b64encode(path.read_bytes()).decode()}
