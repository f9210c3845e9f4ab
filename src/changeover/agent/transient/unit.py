"""A transient unit in which a program of an app runs once: one of a kind an app, for so long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.colour import units
from changeover.agent.failure import ActionError
from changeover.agent.system import durable
from changeover.agent.system.confinement import CONFINED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.agent.call import Call

STOP_SECONDS = 30
PROPERTIES = (
    *CONFINED,
    # What it ended with is to be seen by whoever looks next.
    "RemainAfterExit=yes",
    f"TimeoutStopSec={STOP_SECONDS}",
    "LimitNOFILE=65536",
    "TasksMax=512",
    "CapabilityBoundingSet=",
    "KeyringMode=private",
    "InaccessiblePaths=-/etc/changeover -/var/lib/changeover -/var/backups -/run/changeover",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallFilter=~@privileged @resources",
    "Environment=HOME=/tmp",
)


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: its exit code, or why it has none."""

    exit: int | None
    result: str


@dataclass(frozen=True, slots=True)
class Unit:
    """The one unit of a kind that an app has, so that only one can run.

    Args:
        call: The action's surroundings.
        kind: What it is: ``migrator`` or ``task``.
    """

    call: Call
    kind: str

    @property
    def name(self) -> str:
        """Its name."""
        return f"changeover-{self.kind}-{self.call.app.name}.service"

    @property
    def raw_output(self) -> Path:
        """The file in memory that it prints to; only root may read it."""
        return self.call.places.secrets / f"{self.kind}.output"

    def begin(
        self, colour: str, words: Sequence[str], seconds: float, properties: Sequence[str]
    ) -> None:
        """Start a command in a colour's code.

        Args:
            colour: The colour.
            words: The command.
            seconds: How long it may take.
            properties: What it runs as, and what it finds in its environment.

        Raises:
            ActionError: ``<kind>-not-started``, with what systemd says.
        """
        code, raw = self.call.places.release(colour) / "code", self.raw_output
        durable.ensure_directory(self.call.places.secrets, 0o700)
        raw.unlink(missing_ok=True)
        os.close(os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_EXCL, durable.PRIVATE))
        first = str(code / words[0]) if "/" in words[0] and words[0][0] != "/" else words[0]
        self.call.host.programs.must(
            f"{self.kind}-not-started",
            "systemd-run",
            f"--unit={self.name}",
            "--quiet",
            "--no-ask-password",
            f"--description=The {self.kind} of {self.call.app.name} {colour}",
            *(f"--property={each}" for each in (*PROPERTIES, *properties)),
            f"--property=RuntimeMaxSec={seconds:g}",
            f"--property=WorkingDirectory={code}",
            f"--property=StandardOutput=append:{raw}",
            f"--property=StandardError=append:{raw}",
            "--",
            first,
            *words[1:],
        )

    @property
    def present(self) -> bool:
        """Whether it runs, or has ended and was not looked at yet."""
        (state,) = units.states(self.call.host, [self.name])
        return state.active != "inactive"

    @property
    def ended(self) -> End | None:
        """How it ended; ``None`` while it runs."""
        (state,) = units.states(self.call.host, [self.name])
        if state.sub == "exited":
            return End(0, "success")
        if state.active == "inactive":
            return End(None, "stopped")
        if state.active != "failed":
            return None
        return End(int(state.exit_status) if state.result == "exit-code" else None, state.result)

    def reap(self) -> None:
        """Let systemd forget it, and remove what it printed.

        Raises:
            ActionError: ``<kind>-not-forgotten``; systemd still knows it.
        """
        stopped = self.call.host.programs.run("systemctl", "stop", self.name)
        self.call.host.programs.run("systemctl", "reset-failed", self.name)
        if self.present:
            raise ActionError(
                f"{self.kind}-not-forgotten",
                f"the {self.kind} of {self.call.app.name} has ended, and its unit cannot be stopped",
                cause=stopped.errors.strip(),
            )
        self.raw_output.unlink(missing_ok=True)

    def end(self) -> bool:
        """End it; tell whether it ran. Whoever follows its output sees it end.

        Raises:
            ActionError: ``<kind>-runs-on``.
        """
        if self.ended is not None:
            return False
        try:
            units.stop(self.call.host, [self.name], STOP_SECONDS)
        except ActionError as error:
            raise ActionError(
                f"{self.kind}-runs-on",
                f"the {self.kind} of {self.call.app.name} cannot be ended",
                cause=error.message,
            ) from error
        return True
