"""The records of an environment: a host, and where certificates come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Host:
    """One host.

    Args:
        name: Its inventory name.
        address: Where SSH reaches it.
        port: SSH port.
        groups: The groups it is in, widest first, ``all`` left out.
        variables: What holds for it, merged: ``all``, its groups, itself. Vault texts are
            ``Secret``.
    """

    name: str
    address: str
    port: int
    groups: tuple[str, ...]
    variables: Mapping[str, Any] = field(repr=False, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """Where certificates come from.

    Args:
        mode: ``lab-ca`` (certificates are issued by a private CA) or ``files`` (they are brought).
        ca_certificate: What clients trust; ``None`` for the system's certificates.
        ca_key: The private CA's key, in mode ``lab-ca``.
        certificate: The chain that is brought, in mode ``files``.
        key: Its private key, in mode ``files``.
    """

    mode: Literal["lab-ca", "files"]
    ca_certificate: Path | None = None
    ca_key: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
