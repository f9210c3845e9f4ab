"""The ordered steps that take an environment to a release, what they change, and the way back.

Pure: everything that has to be asked of hosts, files or the database arrives as plain values.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.plan import behind_page, database, shares, tasks

if TYPE_CHECKING:
    from changeover.plan.situation import Situation, Target

LEASE_SECONDS = 120
START_SECONDS = 60
# How long connections through a host that is fenced before anybody is switched may take to end.
FENCE_DRAIN_SECONDS = 10
DEADMAN_SECONDS = 120
# How long a reload of Nginx waits at most for connections from before it to end, after users were
# sent on. Nginx keeps an idle one for 15 s, so 16 s lose none; an abort waits for them, too, a
# rollback does not.
CLOSING_SECONDS = 16.0
ROLLBACK_CLOSING_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of one deployment, with what they change and the way back from there."""

    situation: Situation
    version: str
    colour: str
    steps: tuple[steps.AnyStep, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @property
    def digest(self) -> str:
        """Return the sha256 over what the plan does: equal plans do equal things.

        What statements meet is left out: rows and sizes of live tables move with every write. So is
        what a rehearsal adds meanwhile: what it measured, and which way back it proved, with its price.
        """
        content_of = self._content()
        for judged in ("verdict", "afterwards", "advice", "price", "beside"):
            del content_of["situation"][judged]
        for statement in content_of["situation"]["statements"]:
            del statement["meets"], statement["rewrites"], statement["measured"]
        content = json.dumps(content_of, sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        price = self.situation.price
        return {
            "version": self.version,
            "colour": self.colour,
            "situation": asdict(self.situation) | {"price": price.as_json() if price else None},
            "steps": [step.as_json() for step in self.steps],
        }

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON with its digest."""
        return {"type": "plan", "format": 1, "digest": self.digest, **self._content()}


def deploy(situation: Situation, target: Target) -> Plan:
    """Return the plan that takes the environment to the target; empty when it is there already."""
    due = situation.pending or situation.own or situation.runs
    if situation.live == target.colour and not due:
        return Plan(situation=situation, version=target.version, colour=target.colour)
    sequence: list[steps.AnyStep] = [*_prepare(situation, target), *_go_live(situation, target)]
    return Plan(
        situation=situation, version=target.version, colour=target.colour, steps=tuple(sequence)
    )


def back_alone_seconds(situation: Situation) -> int:
    """Return after how long at most hosts that nobody confirms have taken users back.

    A reload waits before the switch, while the dead-man's time runs, and before the way back.
    """
    reloads = 2 * CLOSING_SECONDS if situation.changes_site else 0
    return round(DEADMAN_SECONDS + reloads)


def _prepare(situation: Situation, target: Target) -> list[steps.AnyStep]:
    start = behind_page.StartAlone if behind_page.closed(situation) else steps.Start
    return [
        *_guard(situation, target),
        *database.backup(situation, target),
        *database.rehearsal(situation),
        *_place(situation, target),
        *database.own_rehearsal(situation, target),
        *(_ask_again(target) if behind_page.closed(situation) else []),
        *behind_page.shown(situation, target),
        *behind_page.shut(situation, target, migrates=database.changes(situation)),
        *database.migrations(situation, target),
        *database.own_migrator(situation, target),
        start(
            id="start",
            guide=(*target.guided("start"), *target.guided("health")),
            hosts=situation.app_hosts,
            undo="stop the new colour",
            colour=target.colour,
            seconds=START_SECONDS,
        ),
    ]


def _guard(situation: Situation, target: Target) -> list[steps.AnyStep]:
    return [
        steps.Preflight(
            id="preflight",
            guide=target.guided("preflight"),
            hosts=situation.all_hosts,
            version=target.version,
            preconditions=target.preconditions,
            waived=target.waived,
        ),
        steps.Lock(
            id="lock",
            guide=target.guided("lock"),
            hosts=situation.all_hosts,
            undo="give the lease back",
            reason=target.reason,
            seconds=LEASE_SECONDS,
        ),
        *_fence(situation),
    ]


def _ask_again(target: Target) -> list[steps.AnyStep]:
    """Return what asks the live data just before users notice: a backfill may take hours."""
    if not target.preconditions:
        return []
    return [steps.AskAgain(id="ask-again", version=target.version, waived=target.waived)]


def _fence(situation: Situation) -> list[steps.AnyStep]:
    """Return what keeps users from the hosts that are left out, before anybody is on the new version."""
    if not situation.skipped:
        return []
    return [
        steps.Fence(
            id="fence",
            hosts=situation.balancers,
            undo="the hosts stay fenced; changeover catch-up brings them back",
            servers=tuple(each.host for each in situation.skipped),
            why="; ".join(f"{each.host} {each.why}" for each in situation.skipped),
            seconds=FENCE_DRAIN_SECONDS,
        )
    ]


def _place(situation: Situation, target: Target) -> list[steps.AnyStep]:
    placing = target.placing(situation.app_hosts)
    undo = "the bundle stays on the hosts, inert"
    return [replace(placing, guide=target.guided("place"), undo=undo)]


def _go_live(situation: Situation, target: Target) -> list[steps.AnyStep]:
    app_hosts = situation.app_hosts
    sequence: list[steps.AnyStep] = [
        steps.PreviewSmoke(
            id="preview",
            guide=target.guided("preview"),
            hosts=app_hosts,
            colour=target.colour,
            version=target.version,
        ),
        *([] if behind_page.closed(situation) else _ask_again(target)),
        *tasks.at(situation, target, "before_switch"),
        *shares.shares(situation, target),
        steps.Switch(
            id="switch",
            guide=target.guided("switch"),
            hosts=app_hosts,
            undo=behind_page.switched_back(situation)
            or ("rename back" if situation.live else None),
            colour=target.colour,
            before=situation.live,
            # Behind a page nobody is on the new colour, and the old one does not run.
            deadman_seconds=DEADMAN_SECONDS
            if situation.live and not behind_page.closed(situation)
            else 0,
            closing_seconds=CLOSING_SECONDS,
        ),
        steps.Smoke(
            id="smoke",
            guide=target.guided("smoke"),
            version=target.version,
            colour=target.colour,
        ),
        steps.Confirm(
            id="confirm", guide=target.guided("confirm"), hosts=app_hosts, colour=target.colour
        ),
    ]
    sequence += behind_page.taken_away(situation)
    if situation.live and situation.live != target.colour:
        drain = behind_page.Keep if behind_page.closed(situation) else steps.Drain
        sequence.append(
            drain(
                id="drain",
                guide=target.guided("drain"),
                hosts=app_hosts,
                colour=situation.live,
                keep=(target.colour, situation.live),
                warm=not behind_page.closed(situation),
                seconds=target.drain_seconds,
            )
        )
    sequence += tasks.at(situation, target, "after_confirm")
    return [*sequence, steps.Unlock(id="unlock", hosts=situation.all_hosts)]
