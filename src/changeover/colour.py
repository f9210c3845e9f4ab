"""The name of one placed release: its version, and what tells it from any other build of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGITS = 8
# Environment values hold secrets, and a colour is shown to everyone: guessing a weak secret from it
# has to cost real work. 50,000 rounds take about 20 ms.
ROUNDS = 50_000


def colour_of(version: str, digest: str, values: Mapping[str, Mapping[str, str]]) -> str:
    """Return the colour of a bundle with its environment values, for example ``8.0.0-1a2b3c4d``.

    A new value makes a new colour, so a change of configuration is switched to, and back from, like
    a change of code.

    Args:
        version: The release's version.
        digest: The sha256 of the bundle.
        values: The environment values by host name.
    """
    content = json.dumps(
        {host: dict(sorted(of_host.items())) for host, of_host in sorted(values.items())}
    )
    mark = hashlib.pbkdf2_hmac("sha256", content.encode(), digest.encode(), ROUNDS)
    return f"{version}-{mark.hex()[:DIGITS]}"


def version_of(colour: str) -> str:
    """Return the version that a colour is of."""
    return colour.rpartition("-")[0]
