"""What an environment says of canaries, in the words of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from changeover.inventory.root import near
from changeover.inventory.variables import VariableInvalid

if TYPE_CHECKING:
    from changeover.inventory.environment import Environment

VARIABLE = "changeover_canary"


def said(environment: Environment) -> dict[str, Any] | Literal[False] | None:
    """Return what goes before a release's own words; ``False``: there are no canaries here.

    Raises:
        VariableInvalid: It is no mapping.
    """
    value = environment.variables.get(VARIABLE)
    if value is None or value is False or isinstance(value, dict):
        return value
    raise invalid(environment, "it must be a mapping, or false")


def invalid(environment: Environment, problem: str) -> VariableInvalid:
    """Return the error for what cannot be used of it."""
    usual = environment.directory / "group_vars" / "all" / "main.yml"
    file = near(environment.files.get(VARIABLE, usual), environment.root)
    return VariableInvalid(f"{file}: {VARIABLE}: {problem}", hint=f"correct {file}")
