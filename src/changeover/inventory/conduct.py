"""How deployments are gone about in an environment: how long a version bakes, whom they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover import duration
from changeover.policy import absence

if TYPE_CHECKING:
    from changeover.inventory.variables import Variables
    from changeover.policy.absence import Policy


@dataclass(frozen=True, slots=True)
class Conduct:
    """What an environment says of its deployments.

    Args:
        variables: Its variables.

    Raises:
        VariableInvalid: From each question; the variable's value is none, and the message names its file.
    """

    variables: Variables

    @property
    def bake_window_seconds(self) -> int | None:
        """Return how long a version has to be live before it is final; ``None``: the release says."""
        name = "changeover_bake_window"
        if self.variables.values.get(name) is None:
            return None
        try:
            return duration.seconds(self.variables.text(name))
        except ValueError as error:
            raise self.variables.invalid(name, str(error)) from None

    @property
    def unreachable(self) -> Policy:
        """Return what to do about app hosts that cannot be reached; ``fail`` unless set."""
        name = "changeover_unreachable"
        try:
            return absence.policy(self.variables.text(name, absence.FAIL))
        except ValueError as error:
            raise self.variables.invalid(name, str(error)) from None

    @property
    def place_at_once(self) -> int | None:
        """Return on how many app hosts a bundle is placed at a time; ``None`` for all at once."""
        name = "changeover_place_at_once"
        value = self.variables.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.variables.invalid(name, "it is a whole number of hosts, 1 or more")
        return value
