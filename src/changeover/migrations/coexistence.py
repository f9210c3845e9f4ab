"""The leading comment that answers for the old version's writes, where no text of SQL can tell.

``-- changeover: allows-old-writes REASON`` in an expand file whose constraint or row security a lint
takes for one that forbids what the old version writes: its author says why it does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

WORD = "allows-old-writes"
DECLARATION = re.compile(rf"--\s*changeover:\s*{WORD}\b\s*(?P<reason>.*)")
PHASE = "expand"


class CoexistenceInvalid(InvalidInput):
    """A comment that answers for the old version's writes gives no reason, or stands where none is needed."""


def reason_of(text: str, path: Path, phase: str) -> str:
    """Return why the old version writes as before; empty where the file's text does not say so.

    Raises:
        CoexistenceInvalid: It gives no reason, or is of another phase.
    """
    for line in text.splitlines():
        if line.strip() and not line.startswith("--"):
            return ""
        if found := DECLARATION.fullmatch(line.rstrip()):
            break
    else:
        return ""
    if not found["reason"]:
        raise CoexistenceInvalid(
            f"{path} says {WORD} and not why",
            hint=f"write `-- changeover: {WORD} REASON`: plan shows the reason",
        )
    if phase != PHASE:
        raise CoexistenceInvalid(
            f"{path} says {WORD}, and is not of {PHASE}", hint="remove the comment"
        )
    return found["reason"]
