"""Where a PostgreSQL database is, and as whom to enter it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.secret import Secret

CONNECT_SECONDS = 30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database as one role sees it.

    Args:
        host: Address or name to connect to; the near end of the tunnel where there is one.
        port: TCP port.
        name: Database name.
        user: Role that connects.
        password: That role's password.
        label: Inventory name of the host it lives on, for messages; the address when empty.
        environment: The environment it belongs to, for the next command in errors.
    """

    host: str
    port: int
    name: str
    user: str
    password: Secret
    label: str = ""
    environment: str = ""

    @property
    def shown_host(self) -> str:
        """Return the host by the name a person knows it by."""
        return self.label or self.host

    def parameters(self) -> dict[str, str | int]:
        """Return libpq connection parameters; they hold the password in clear."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.name,
            "user": self.user,
            "password": self.password.reveal(),
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
