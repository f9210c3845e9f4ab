"""Go back to a version that is on no host any more: build it, place it, prove it beside the live one.

Its code is no problem, its schema may be: `undoing` asks the ledger what took away what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import steps
from changeover.plan.order import START_SECONDS
from changeover.runner.deployment import forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.release import Release
    from changeover.runner.run import Run


def ways(
    run: Run, releases: Mapping[str, Release], version: str
) -> tuple[str, tuple[steps.AnyStep, ...]]:
    """Build a version's bundle and return its colour, and the steps that bring it up beside the live one.

    Args:
        run: The run; its release, bundle and values are set here.
        releases: Every release of the app.
        version: The version to bring back.

    Raises:
        InvalidInput: The bundle cannot be built, or an environment value is missing.
    """
    run.release = releases[version]
    forecast.build(run, releases)
    target = forecast.target(run)
    hosts = tuple(host.name for host in run.app_hosts)
    placing = (
        target.placing(hosts),
        steps.Start(id="start", hosts=hosts, colour=target.colour, seconds=START_SECONDS),
        steps.PreviewSmoke(id="preview", hosts=hosts, colour=target.colour, version=version),
    )
    return target.colour, placing
