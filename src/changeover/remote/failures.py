"""What can go wrong between this controller and a host."""

from __future__ import annotations

from typing import Any

from changeover.errors import CheckRed, Failed

Event = dict[str, Any]


class HostUnreachable(CheckRed):
    """A host does not answer SSH."""


class HostKeyChanged(CheckRed):
    """A host shows another key than the one that is known, or one that nobody recorded."""


class SignInRefused(CheckRed):
    """The host answers, and refuses the deploy user's key."""


class AgentMissing(CheckRed):
    """The host has no agent, or the deploy user may not run it."""


class AgentOutdated(CheckRed):
    """The host's agent is of another version than this controller."""


class AgentFailed(Failed):
    """An action failed on a host.

    Args:
        error: The agent's own word for it, for example ``unit-failed``.
        detail: The whole failure line of the agent.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        host: str | None = None,
        cause: str | None = None,
        error: str = "",
        detail: Event | None = None,
    ) -> None:
        super().__init__(message, hint=hint, host=host, cause=cause)
        self.error = error
        self.detail = detail or {}


class SessionLost(Failed):
    """The SSH session ended before the agent had answered."""


class HostSilent(SessionLost):
    """Nothing was heard of a host for so long that it is given up."""
