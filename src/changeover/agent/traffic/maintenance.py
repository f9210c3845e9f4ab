"""The page of maintenance on this host: who asked for it, who gets through, and since when.

Two may ask for it: a person, and the deployment that holds the lease. It is shown for as long as one
of them wants it, so that neither takes away what the other one needs.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.colour import processes
from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable
from changeover.agent.traffic import live, maintenance_page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.places import Places

RETRY_AFTER_SECONDS = 120
LONGEST_RETRY_AFTER = 86400
MOST_ADDRESSES = 1024
WELL_SECONDS = 5
# Checks do not want the page: they want to get through one that is on.
HAND, DEPLOYMENT, CHECKS = "hand", "deployment", "checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Why the page is shown, as one of those who asked for it has said.

    Args:
        deployment: The run that asked.
        tester: The token that gets through; a secret.
    """

    deployment: str
    by: str
    reason: str
    since: str
    retry_after: int
    allow: tuple[str, ...] = ()
    tester: str | None = None

    def as_shown(self) -> dict[str, Any]:
        """Return the wish without its secret."""
        return {**dataclasses.asdict(self), "tester": self.tester is not None}


def _path(places: Places) -> Path:
    return places.state / "maintenance.json"


def read(places: Places) -> dict[str, Wish]:
    """Return who wants the page, by kind."""
    try:
        raw = json.loads(_path(places).read_bytes())
    except FileNotFoundError:
        return {}
    return {kind: Wish(**{**entry, "allow": tuple(entry["allow"])}) for kind, entry in raw.items()}


def shown(call: Call) -> Result:
    """Say whether the page is shown and for whom, and whether the live site could show it."""
    wishes = read(call.places)
    return {
        "on": maintenance_page.is_on(call.places),
        "served": maintenance_page.served(call),
        **{kind: wish.as_shown() for kind, wish in wishes.items()},
    }


def on(call: Call, given: Parameters) -> Result:
    """Show the page to everybody but those who are allowed; what one kind asked before is replaced.

    Raises:
        ActionError: ``site-without-maintenance`` where the live site would not show it;
            ``bad-address``, ``bad-page``.
    """
    given.only("kind", "by", "reason", "retry_after", "allow", "tester", "of")
    kind, before = _kind(given), read(call.places)
    allow = given.sequence("allow") if given.has("allow") else []
    total = len(_machines(allow))
    if total > MOST_ADDRESSES:
        raise ActionError("bad-address", f"{total} addresses are more than {MOST_ADDRESSES}")
    wish = Wish(
        deployment=given.name("of", names.DEPLOYMENT) if given.has("of") else call.deployment,
        by=given.text("by"),
        reason=given.text("reason", ""),
        since=before[kind].since if kind in before else clock.stamp(),
        retry_after=int(
            given.number("retry_after", RETRY_AFTER_SECONDS, least=1, most=LONGEST_RETRY_AFTER)
        ),
        allow=tuple(sorted(set(allow))),
        tester=_tester(given),
    )
    was_on = maintenance_page.is_on(call.places)
    if kind == CHECKS and not was_on:
        return {"on": False, "skipped": True}
    if not maintenance_page.served(call):
        raise ActionError(
            "site-without-maintenance",
            f"the live site of {call.app.name} on this host was built before there was a page of"
            " maintenance, and would not show it",
        )
    _save(call.places, {**before, kind: wish})
    _show(call, {**before, kind: wish})
    return {"on": True, "since": wish.since, "skipped": was_on and before.get(kind) == wish}


def _machines(allow: Iterable[object]) -> set[str]:
    return {one for each in allow for one in maintenance_page.machines(each)}


def _kind(given: Parameters) -> str:
    kind = given.text("kind", HAND)
    if kind not in {HAND, DEPLOYMENT, CHECKS}:
        raise ActionError("bad-parameter", f"kind has to be {HAND}, {DEPLOYMENT} or {CHECKS}")
    return kind


def _tester(given: Parameters) -> str | None:
    # An object, which no journal keeps.
    if not given.has("tester"):
        return None
    return names.checked("tester's token", names.TESTER, given.mapping("tester").get("token"))


def _show(call: Call, wishes: dict[str, Wish]) -> None:
    asked = wishes.get(HAND) or wishes[DEPLOYMENT]
    maintenance_page.show(
        call,
        retry_after=asked.retry_after,
        addresses=_machines([each for wish in wishes.values() for each in wish.allow]),
        testers={wish.tester for wish in wishes.values() if wish.tester},
    )


def off(call: Call, given: Parameters) -> Result:
    """Take one kind's wish back; where none is left, users get the app again if it is well.

    Raises:
        ActionError: ``maintenance-of-deployment``; ``unhealthy``: the page stays.
    """
    given.only("kind")
    kind, before = _kind(given), read(call.places)
    if kind == HAND and DEPLOYMENT in before:
        raise ActionError(
            "maintenance-of-deployment",
            f"{before[DEPLOYMENT].deployment} shows the page, and is not at its end",
        )
    left = {each: wish for each, wish in before.items() if each != kind}
    if {HAND, DEPLOYMENT} & set(left):
        _save(call.places, left)
        _show(call, left)
        return {"on": True, "answered": None, "skipped": left == before}
    if not before and maintenance_page.absent(call.places):
        return {"on": False, "answered": None, "skipped": True}
    present = live.colour(call.places)
    if present is not None:
        processes.wait_until_well(call, present, WELL_SECONDS)
    since = min((wish.since for wish in before.values()), default=None)
    maintenance_page.hide(call.places)
    durable.remove(_path(call.places))
    answered = maintenance_page.answered(call, since) if since else None
    return {"on": False, "since": since, "answered": answered}


def _save(places: Places, wishes: dict[str, Wish]) -> None:
    durable.ensure_directory(places.state, 0o700)
    content = {kind: dataclasses.asdict(wish) for kind, wish in wishes.items()}
    durable.write(_path(places), json.dumps(content).encode())
