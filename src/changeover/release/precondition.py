"""What the live data has to be like before a release may follow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from changeover.release.figures import Declared, PrintableText, written

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = re.compile(r"\{([^{}]+)\}")
PreconditionId = Annotated[str, written(r"[a-z0-9][a-z0-9-]{0,62}", "an id such as nobody-left")]


def _with_places(value: str) -> str:
    if "{" in (left := PLACE.sub("", value)) or "}" in left:
        raise ValueError(f"each brace is half of a {{column}}, and it is {value!r}")
    return value


class Precondition(Declared):
    """One thing that has to hold of the live data before a release may follow.

    Args:
        id: What it is called, also where it is waived.
        summary: What holds, in words.
        rows: One SELECT; every row that it returns is a reason against the release.
        says: How a row is told, with ``{column}`` in it; without it the columns are told by name.
        hint: Whom to ask, or what to type, where it does not hold.
    """

    id: PreconditionId
    summary: PrintableText
    rows: str
    says: Annotated[PrintableText, AfterValidator(_with_places)] | None = None
    hint: PrintableText

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that ``says`` names."""
        return tuple(dict.fromkeys(PLACE.findall(self.says or "")))

    def told(self, row: Mapping[str, str]) -> str:
        """Return a row in words.

        Args:
            row: Its columns as text, by name; those of ``columns`` are among them.
        """
        if self.says is None:
            return ", ".join(f"{name}={value}" for name, value in row.items())
        return PLACE.sub(lambda place: row[place[1]], self.says)
