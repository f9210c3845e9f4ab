"""An action's parameters, read by name and type; what is missing, wrong or unknown is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

MISSING: Any = object()


class Parameters:
    """Typed access to what a request gave one action."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def only(self, *known: str) -> None:
        """Refuse parameters of other names, so that a misspelt one is not passed over."""
        unknown = sorted(set(self._values) - set(known))
        if unknown:
            raise ActionError("bad-parameter", f"unknown parameter: {', '.join(unknown)}")

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given, and not as null."""
        return self._values.get(name) is not None

    def name(self, name: str, pattern: re.Pattern[str]) -> str:
        """Return a parameter that becomes part of a path."""
        return names.checked(name, pattern, self._values.get(name))

    def colour(self, name: str = "colour") -> str:
        """Return a colour."""
        return names.checked("colour", names.COLOUR, self._values.get(name))

    def text(self, name: str, default: str = MISSING, *, longest: int = 500) -> str:
        """Return a text of limited length, without control characters."""
        value = self._values.get(name, default)
        if isinstance(value, str) and len(value) <= longest and value.isprintable():
            return value
        raise ActionError("bad-parameter", f"{name} has to be one line of text")

    def number(
        self,
        name: str,
        default: float = MISSING,
        *,
        least: float = 0,
        most: float = 86400,
    ) -> float:
        """Return a number within its bounds."""
        value = self._values.get(name, default)
        if (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and least <= value <= most
        ):
            return value
        raise ActionError("bad-parameter", f"{name} has to be a number from {least:g} to {most:g}")

    def flag(self, name: str) -> bool:
        """Return a truth value; absent is false."""
        value = self._values.get(name, False)
        if isinstance(value, bool):
            return value
        raise ActionError("bad-parameter", f"{name} has to be true or false")

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a JSON object."""
        value = self._values.get(name)
        if isinstance(value, dict):
            return value
        raise ActionError("bad-parameter", f"{name} has to be an object")

    def sequence(self, name: str) -> list[Any]:
        """Return a JSON array."""
        value = self._values.get(name)
        if isinstance(value, list):
            return value
        raise ActionError("bad-parameter", f"{name} has to be a list")
