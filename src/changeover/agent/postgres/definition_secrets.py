"""Definitions as people and files get to see them: without the passwords that they hold.

The server writes passwords into definitions in clear: of user mappings and foreign servers as options, in
functions' bodies as connection strings. Each is shown as a mark that is the same for the same value, so
that a difference stays one. The mark is keyed by the host: who reads it cannot try passwords against it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from typing import TYPE_CHECKING

from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


KEY = "definitions.key"
KEY_BYTES = 32
MARK_LETTERS = 12
# Options whose values are shown: they say where something is. All others may be what opens it.
PLACES = {
    *(
        "user",
        "username",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "database",
        "schema",
        "table",
        "filename",
    ),
    *("schema_name", "table_name", "column_name", "format", "fetch_size", "use_remote_estimate"),
    *("updatable", "extensions", "sslmode", "batch_size", "password_required", "application_name"),
}
STRING = r"(?:[Ee]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')"
NAME = r'(?:"(?:[^"]|"")*"|\w+)'
OPTION = re.compile(rf"(?P<before>(?P<name>{NAME})\s+)(?P<value>{STRING})", re.DOTALL)
OPTIONS = re.compile(
    rf"\bOPTIONS\s*\(\s*(?:(?:DROP\s+{NAME}|(?:(?:ADD|SET)\s+)?{NAME}\s+{STRING})\s*,?\s*)+\)",
    re.DOTALL | re.IGNORECASE,
)
QUOTED = r"\\'.*?\\'|(?:\\?'){2}(?:[^'\\]|\\.)*(?:\\?'){2}|" + STRING
ELSEWHERE = re.compile(
    rf"""(?P<before>\b(?:ssl)?(?:password|passwd|pwd)\s*=\s*)(?P<value>{QUOTED}|[^\s'";,()]+)
      | (?P<before_word>\bPASSWORD\s+)(?P<word>{STRING})
      | (?P<before_url>\b[a-z][a-z0-9+.-]*://[^\s:/@'"]*:)(?P<url>[^\s@/'"]+)(?=@)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def hidden(text: str, mark: Callable[[str], str]) -> str:
    """Return SQL with each password in it replaced by what ``mark`` makes of it."""

    def option(found: re.Match[str]) -> str:
        if found["name"].strip('"').lower() in PLACES:
            return found[0]
        return f"{found['before']}'{mark(found['value'])}'"

    def elsewhere(found: re.Match[str]) -> str:
        if found["before_word"]:
            return f"{found['before_word']}'{mark(found['word'])}'"
        if found["before_url"]:
            return found["before_url"] + mark(found["url"])
        return found["before"] + mark(found["value"])

    text = ELSEWHERE.sub(elsewhere, text)
    return OPTIONS.sub(lambda found: OPTION.sub(option, found[0]), text)


def shown(root: Path, text: str) -> str:
    """Return definitions for people, files and other hosts; what is compared later is marked the same.

    Args:
        root: Where the app's key for these marks is kept.
        text: The definitions.
    """
    key: list[bytes] = []

    def mark(value: str) -> str:
        if not key:
            key.append(_key(root))
        digest = hmac.new(key[0], value.encode(errors="surrogateescape"), hashlib.sha256)
        return f"(hidden {digest.hexdigest()[:MARK_LETTERS]})"

    return hidden(text, mark)


def _key(root: Path) -> bytes:
    """Return the host's key for an app's definitions, made when it is first needed."""
    path = root / KEY
    if not path.exists():
        durable.ensure_directory(root, 0o750)
        own = root / f".{KEY}.{os.getpid()}.{secrets.token_hex(4)}"
        durable.write(own, secrets.token_bytes(KEY_BYTES))
        try:
            path.hardlink_to(own)
        except FileExistsError:
            pass  # somebody else's is there by now, and whole
        finally:
            own.unlink()
        durable.sync_directory(root)
    return path.read_bytes()
