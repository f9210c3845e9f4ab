"""Shares of clients that a release wants to have proved it before everybody gets it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from changeover import duration
from changeover.policy.canary import Canary, Gates, growing
from changeover.release.figures import Declared, Duration

Times = Annotated[float, Field(ge=1)]


class CanaryDeclaration(Declared):
    """The shares, how long each lasts, and what it has to show."""

    shares: Annotated[tuple[int, ...], AfterValidator(growing)]
    lasting: Duration = "60s"
    deadline: Duration = "10m"
    requests: Annotated[int, Field(ge=1)] = 20
    errors_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    errors_times: Times = 2.0
    slower_times: Times = 1.5
    slower_ms: Annotated[int, Field(ge=0)] = 50

    @property
    def canary(self) -> Canary:
        """Return it as plans know it."""
        return Canary(
            shares=self.shares,
            seconds=duration.seconds(self.lasting),
            deadline_seconds=duration.seconds(self.deadline),
            gates=Gates(
                requests=self.requests,
                errors_percent=self.errors_percent,
                errors_times=self.errors_times,
                slower_times=self.slower_times,
                slower_ms=self.slower_ms,
            ),
        )
