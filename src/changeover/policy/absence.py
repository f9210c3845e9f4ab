"""What a deployment does about app hosts that cannot be reached, as it is declared: a policy."""

from __future__ import annotations

import re
from dataclasses import dataclass

FAIL, SKIP, QUORUM = "fail", "skip", "quorum"
KNOWN = "fail, skip, or quorum=N% with N from 1 to 100"
WRITTEN_QUORUM = re.compile(r"quorum=([1-9][0-9]?|100)%")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: what it is called, and which share of the app hosts has to be there.

    Args:
        kind: ``fail``, ``skip`` or ``quorum``.
        percent: Of all app hosts; 0 where there need only be one.
    """

    kind: str
    percent: int = 0

    def __str__(self) -> str:
        """Return it as it is declared."""
        return f"{QUORUM}={self.percent}%" if self.kind == QUORUM else self.kind

    @property
    def fails(self) -> bool:
        """Whether one host that is not there is one too many."""
        return self.kind == FAIL

    def allows(self, there: int, total: int) -> bool:
        """Tell whether a deployment goes on with so many of all app hosts."""
        if there == total:
            return True
        return not self.fails and there > 0 and there * 100 >= self.percent * total


def policy(text: str) -> Policy:
    """Return the policy that a text declares.

    Raises:
        ValueError: It declares none.
    """
    if text in {FAIL, SKIP}:
        return Policy(text)
    found = WRITTEN_QUORUM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no policy: it is {KNOWN}")
    return Policy(QUORUM, int(found[1]))
