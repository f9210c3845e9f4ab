"""What a verb that moves an app works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import release as releases_of
from changeover.release.reading import unknown_version
from changeover.runner.run import Run, open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from changeover.inventory import Environment
    from changeover.policy.absence import Policy
    from changeover.release import App, Release
    from changeover.remote.line import Line
    from changeover.runner.fleet.host_state import HostState
    from changeover.secret import Redactor

Event = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Context:
    """What a verb that moves an app works with.

    Args:
        root: The project root.
        environment: Where it moves.
        app: What moves.
        redactor: Knows every secret.
        report: Hears every event.
        states: What the hosts have just said, for the next plan: what is live is asked again once
            the lease is held.
        left_out: Why hosts were left out then, by host.
        unreachable: What was typed to do about app hosts that cannot be reached.
        lines: The connections that its runs share.
        canary: What the command says of shares of clients.
        waived: The preconditions that the command waives, by id.
    """

    root: Path
    environment: Environment
    app: str
    redactor: Redactor
    report: Callable[[Event], None]
    states: Mapping[str, HostState] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    unreachable: Policy | None = None
    canary: str | None = None
    waived: tuple[str, ...] = ()
    _releases: dict[str, Release] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def declared(self) -> App:
        """Return what the app declares of itself."""
        return releases_of.load_app(self.root, self.app)

    @property
    def releases(self) -> Mapping[str, Release]:
        """Return every release of the app by version, oldest first."""
        if not self._releases:
            self._releases = releases_of.load_releases(self.root, self.app)
        return self._releases

    def release(self, version: str) -> Release:
        """Return one release.

        Raises:
            VersionUnknown: This checkout has none of that version.
        """
        if version not in self.releases:
            raise unknown_version(self.app, version, self.releases)
        return self.releases[version]

    def run(self, deployment: str | None = None) -> Run:
        """Open a run: an id, a nonce, a journal, on the connections of the runs before it."""
        run = open_run(
            self.root,
            self.environment,
            self.declared,
            self.redactor,
            self.report,
            deployment=deployment,
            lines=self.lines,
        )
        run.override = self.unreachable
        return run
