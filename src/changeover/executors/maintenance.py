"""The page of maintenance on app hosts, through their agents: shown, and taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.errors import CheckRed
from changeover.remote.fleet import action, on_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.inventory import Host
    from changeover.remote.fleet import Answers, Fleet
    from changeover.secret import Secret

RETRY_AFTER_SECONDS = 120


class PageUnserved(CheckRed):
    """The site that is live on a host was built before there was a page of maintenance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What users get in place of the app, and who gets the app all the same.

    Args:
        kind: Who wants it: ``hand`` or ``deployment``; ``checks`` want to get through one that is on.
        reason: Why; users do not see it.
        retry_after: The seconds after which clients are told to come again.
        allow: Addresses that get through.
        tester: A token that gets through.
        of: The deployment that it is shown for, where that is another run's.
    """

    kind: str
    reason: str
    retry_after: int = RETRY_AFTER_SECONDS
    allow: tuple[str, ...] = ()
    tester: Secret | None = None
    of: str | None = None


def show(fleet: Fleet, hosts: Sequence[Host], page: Page) -> Answers:
    """Show the page on every host; what the same kind asked for before is replaced."""
    request = action(
        "maintenance_on",
        kind=page.kind,
        by=fleet.owner,
        reason=page.reason,
        retry_after=page.retry_after,
        allow=list(page.allow),
        tester={"token": page.tester.reveal()} if page.tester else None,
        of=page.of,
    )
    return on_each(fleet, hosts, lambda _: [request])


def hide(fleet: Fleet, hosts: Sequence[Host], kind: str) -> Answers:
    """Take the page away on every host, as far as nobody else wants it."""
    return on_each(fleet, hosts, lambda _: [action("maintenance_off", kind=kind)])


def unserved(host: str, app: str, version: str | None, environment: str) -> PageUnserved:
    """Return the failure where a host has no live site that would show the page."""
    if version is None:
        return PageUnserved(
            f"nothing of {app} is live on {host}: users would not get the page",
            hint=f"changeover deploy VERSION --env {environment}, then the page",
            host=host,
        )
    return PageUnserved(
        f"the site of {app} that is live on {host} was built before there was a page of maintenance:"
        " users would not get it",
        hint=f"changeover deploy {version} --env {environment} builds and switches to one that has it",
        host=host,
    )
