"""Read requirements.lock: what it pins, each with a version and hashes, and no address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME = "requirements.lock"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])? *== *[^\s;*]+ *(;.*)?")
HASH = re.compile(r"(?:^|\s)--hash[= ](?P<hash>\S+)")
COMMENT = re.compile(r"(^|\s)#.*$")
AGAIN = "pin it anew, such as by pip-compile --generate-hashes --no-emit-index-url"


class LockUnfit(InvalidInput):
    """A lock leaves open what is installed, or says where from."""


def require_pinned(text: str) -> None:
    """Refuse a lock that is not a list of ``name==version --hash=sha256:...``.

    Raises:
        LockUnfit: It pins nothing, or a line of it is something else.
    """
    found = False
    for number, line in _lines(text):
        found = True
        problem = _problem(line)
        if problem is not None:
            raise LockUnfit(f"{FILE_NAME}:{number}: {problem}", hint=AGAIN)
    if not found:
        raise LockUnfit(f"{FILE_NAME} pins nothing", hint=f"{AGAIN}, or set build kind none")


def _problem(line: str) -> str | None:
    wanted = HASH.sub("", line).strip()
    if wanted.startswith("-"):
        return f"{wanted.split()[0]} is an option; where packages come from is pip's own setting"
    if "://" in wanted or " @ " in wanted:
        return "it names an address; where packages come from is pip's own setting"
    pinned = PINNED.fullmatch(wanted)
    if pinned is None:
        return f"{wanted} is not pinned to one version (name==version)"
    hashes = HASH.findall(line)
    if not hashes or not all(each.startswith("sha256:") for each in hashes):
        return f"{pinned['name']} has no sha256 hash"
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each entry with the number of its first line: a backslash goes on in the next one."""
    entry, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if entry else number
        content = COMMENT.sub("", line).strip()
        entry = f"{entry} {content.removesuffix(chr(92)).strip()}".strip()
        if content.endswith("\\"):
            continue
        if entry:
            yield first, entry
        entry = ""
    if entry:
        yield first, entry
