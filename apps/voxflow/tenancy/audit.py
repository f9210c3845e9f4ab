"""Who did what to whom, kept for good; never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.database import Connection

KEEP = """
    INSERT INTO audit_log (actor, action, subject, details, request_id)
    VALUES (%(actor)s, %(action)s, %(subject)s, %(details)s, %(request_id)s)"""


def keep(
    connection: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, object],
    request_id: str,
) -> None:
    """Keep one deed, in the transaction that does it.

    Args:
        connection: A transaction of the actor's, or one that sees all tenants.
        actor: Who did it.
        action: What, as ``api_key.saved``.
        subject: To whose account.
        details: What more there is to say.
        request_id: What the answer carried.
    """
    values = {"actor": actor, "action": action, "subject": subject, "request_id": request_id}
    connection.execute(KEEP, values | {"details": Jsonb(dict(details))})
