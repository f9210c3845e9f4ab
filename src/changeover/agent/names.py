"""The names that may become part of a path or a unit: strict patterns, checked before use."""

from __future__ import annotations

import re

from changeover.agent.failure import ActionError

APP = re.compile(r"[a-z][a-z0-9-]{0,39}")
COLOUR = re.compile(r"[0-9][0-9A-Za-z._-]{0,62}-[0-9a-f]{8}")
DEPLOYMENT = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")
DIGEST = re.compile(r"[0-9a-f]{64}")
NONCE = re.compile(r"[0-9A-Za-z_-]{8,128}")
PROCESS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TESTER = re.compile(r"[0-9a-f]{32}")
TASK = re.compile(r"[a-z][a-z0-9-]{0,31}")
SOCKET = re.compile(r"[a-z][a-z0-9_-]{0,31}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
VERSION = re.compile(r"[0-9][0-9A-Za-z._-]{0,62}")
HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,99}")
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
MOST_SHOWN = 100
PATH_PART = re.compile(r"[^/\0\n]{1,255}")


def checked(kind: str, pattern: re.Pattern[str], value: object) -> str:
    """Return ``value`` when it is text that matches the whole pattern.

    Raises:
        ActionError: ``bad-name``; the name cannot be used in a path.
    """
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise ActionError("bad-name", f"{_shown(value)} is no {kind}")


def inner_path(value: object) -> str:
    """Return a relative path that stays inside its directory.

    Raises:
        ActionError: ``bad-path``; it is absolute, empty, or steps out by ``..``.
    """
    if isinstance(value, str) and value:
        parts = value.split("/")
        if all(PATH_PART.fullmatch(part) and part not in {".", ".."} for part in parts):
            return value
    raise ActionError("bad-path", f"{_shown(value)} is no path inside a bundle")


def _shown(value: object) -> str:
    return repr(value[:MOST_SHOWN]) if isinstance(value, str) else f"a {type(value).__name__}"


def colour_of(version: str, digest: str) -> str:
    """Return the colour of a bundle: its version and the first eight digits of its digest."""
    return f"{version}-{digest[:8]}"


def version_of(colour: str) -> str:
    """Return the version that a colour is of."""
    return colour.rpartition("-")[0]


def order(colour: str) -> list[int]:
    """Return what versions are ordered by."""
    version = colour.partition("-")[0]
    return [int(part) for part in version.split(".") if part.isdigit()]
