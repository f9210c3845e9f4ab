"""One action's surroundings: the host, the app, the deployment it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from changeover.agent.host import App, Host
    from changeover.agent.places import Places

Result = dict[str, Any]


def _silent(_: str) -> None:
    return


def _go_on() -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every action is given beside its own parameters.

    Args:
        progress: Sends one line to the controller; also the sign of life in a long action.
        give_way: Called whenever this only waits; raises ``overtaken`` where others go first.
        fence: The fencing number and nonce of the request, where it has them.
    """

    host: Host
    app: App
    deployment: str
    fence: Mapping[str, Any] | None = None
    progress: Callable[[str], None] = field(default=_silent)
    give_way: Callable[[], None] = field(default=_go_on)

    @property
    def places(self) -> Places:
        """Return the app's paths."""
        return self.host.places(self.app.name)
