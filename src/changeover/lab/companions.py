"""Run the programs that stand beside the hosts, on this machine's end of the bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changeover.lab.identity import Identity
    from changeover.lab.programs import Progress
    from changeover.lab.state import LabState


def start(lab: Identity, state: LabState, address: str, progress: Progress) -> None:
    """Start the companions that do not run."""


def stop(state: LabState) -> None:
    """End the companions."""
