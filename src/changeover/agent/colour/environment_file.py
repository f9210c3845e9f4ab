"""The environment file of a colour, quoted so that systemd reads every value back unchanged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# systemd drops a variable whose value has a control character other than these, and says nothing.
ALLOWED_CONTROLS = "\t\n"
ESCAPED = re.compile(r'(["\\`$])')
UNESCAPED = re.compile(r'\\(["\\`$])')
LINE = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


def render(values: Mapping[str, object]) -> str:
    """Return the file's text, its names in order.

    Inside double quotes systemd takes a backslash off before ``"``, a backslash, a backtick and
    ``$``, and keeps everything else, newlines and ``#`` included.

    Raises:
        ActionError: ``bad-environment``; the name, never the value, is in the message.
    """
    lines = []
    for name, value in sorted(values.items()):
        names.checked("variable", names.VARIABLE, name)
        if not isinstance(value, str) or not _readable(value):
            raise ActionError(
                "bad-environment",
                f"{name} is no text, or has a control character that systemd would drop",
            )
        lines.append(f'{name}="{ESCAPED.sub(_escape, value)}"\n')
    return "".join(lines)


def parse(text: str) -> dict[str, str]:
    """Read back what ``render`` wrote."""
    return {
        match[1]: UNESCAPED.sub(lambda escape: escape[1], match[2]) for match in LINE.finditer(text)
    }


def write(path: Path, values: Mapping[str, object]) -> None:
    """Write a colour's environment file, for root alone."""
    durable.ensure_directory(path.parent, 0o700)
    durable.write(path, render(values).encode(), durable.PRIVATE)


def same(path: Path, values: Mapping[str, object]) -> bool:
    """Tell whether the file already says this."""
    try:
        return path.read_text(encoding="utf-8") == render(values)
    except FileNotFoundError:
        return False


def read(path: Path) -> dict[str, str]:
    """Read a colour's environment file.

    Raises:
        OSError: It is not there.
        ValueError: It is not as ``write`` left it, so that not every value would be found.
    """
    text = path.read_text(encoding="utf-8")
    values = parse(text)
    if render(values) != text:
        raise ValueError(f"{path} was changed by hand")
    return values


def _readable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return all(
        character in ALLOWED_CONTROLS or (character >= " " and character != "\x7f")
        for character in value
    )


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[1]}"
