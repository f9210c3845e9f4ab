"""Ask once before something is done; never where there is no terminal."""

from __future__ import annotations

import sys

import typer

from changeover.cli.desk import hush
from changeover.errors import InvalidInput


class NotConfirmed(InvalidInput):
    """Nobody said yes."""


def require(*, yes: bool) -> None:
    """Refuse, before anything that takes long, what would be refused at its question.

    Raises:
        NotConfirmed: There is no terminal to ask on and no ``--yes``.
    """
    if not yes and not sys.stdin.isatty():
        raise NotConfirmed(
            "there is no terminal to ask on", hint="add --yes to have it done without being asked"
        )


def ask(*, yes: bool, question: str) -> None:
    """Return when the user agrees.

    Raises:
        NotConfirmed: They do not, or there is no terminal to ask on and no ``--yes``.
    """
    require(yes=yes)
    if yes:
        return
    hush()
    if not typer.confirm(question, err=True):
        raise NotConfirmed("not confirmed; nothing was changed", hint="run it again when ready")
