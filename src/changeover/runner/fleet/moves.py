"""How a host that was left out gets to what the others serve, by what it remembers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.runner.fleet.host_state import HostState


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of a host.

    Args:
        kind: ``settle`` takes back what nobody confirmed, ``back`` goes to a colour that was live
            there before, ``on`` to one that was not.
        colour: Where it goes; ``None`` where nothing was live.
    """

    kind: Literal["settle", "back", "on"]
    colour: str | None


def moves(state: HostState, live: str | None, previous: str | None) -> Iterator[Move]:
    """Give the moves that make a host serve what the others serve, and go back to what they go back to.

    A host that missed two deployments goes through the one before, so that a rollback finds the same
    on all hosts.

    Args:
        state: What the host says.
        live: What the others serve.
        previous: What they go back to.
    """
    here, history = state.confirmed, state.history
    if state.pending or state.live != state.confirmed:
        yield Move(kind="settle", colour=here)
    if here == live:
        return
    if live is None or live in history:
        yield Move(kind="back", colour=live)
        return
    if previous is not None and here != previous:
        yield Move(kind="back" if previous in history else "on", colour=previous)
    yield Move(kind="on", colour=live)
