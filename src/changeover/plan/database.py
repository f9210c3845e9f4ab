"""The steps about the app's database: its backup, its migrations and the app's own migrator, each tried first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover import steps
from changeover.plan import behind_page

if TYPE_CHECKING:
    from changeover.plan.situation import Situation, Target
    from changeover.steps.step import Phase

DEPLOYED_PHASES: tuple[Phase, ...] = ("expand", "backfill")


def backup(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return the backup; where nothing is saved before, there is none."""
    if not (situation.saves and situation.database_hosts):
        return []
    return [
        steps.Backup(
            id="backup",
            guide=target.guided("backup"),
            hosts=situation.database_hosts,
            colour=situation.live or "",
            version=situation.live_version or "",
            keep=changes(situation),
        )
    ]


def rehearsal(situation: Situation) -> list[steps.AnyStep]:
    """Return the rehearsal; on an empty database there is nothing to rehearse on."""
    if not (situation.saves and _due(situation)):
        return []
    return [
        steps.Rehearse(
            id="rehearse",
            hosts=situation.database_hosts,
            phases=DEPLOYED_PHASES,
            migrations=_due(situation),
        )
    ]


def own_rehearsal(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return the trial of the app's own migrator, from the code that was placed."""
    if situation.own is None or not situation.saves:
        return []
    return [steps.RehearseOwn(id="rehearse", **_migrator(situation, target, situation.own.host))]


def migrations(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return the pending migrations, a step a phase."""
    return [
        steps.Migrate(
            id=phase,
            guide=target.guided(phase),
            hosts=situation.database_hosts,
            undo=behind_page.migrated_back(situation)
            or "the old code runs on the new schema; nothing is taken back",
            phases=(phase,),
            migrations=due,
        )
        for phase in DEPLOYED_PHASES
        if (due := _due(situation, phase))
    ]


def own_migrator(situation: Situation, target: Target) -> list[steps.AnyStep]:
    """Return the run of the app's own migrator."""
    if situation.own is None:
        return []
    return [
        steps.MigrateOwn(
            id="migrator",
            guide=target.guided("migrator"),
            undo="the old code is not tried on what it leaves; the backup brings back what was before",
            first=not situation.saves,
            **_migrator(situation, target, situation.own.host),
        )
    ]


def changes(situation: Situation) -> bool:
    """Tell whether anything is changed in it before users are moved."""
    return bool(_due(situation) or situation.own)


def _due(situation: Situation, *phases: Phase) -> tuple[str, ...]:
    """Return the pending migrations of these phases; of all that a deployment runs where none is named."""
    return tuple(
        name
        for phase in phases or DEPLOYED_PHASES
        for name in situation.pending
        if f"/{phase}/" in name
    )


def _migrator(situation: Situation, target: Target, host: str) -> dict[str, Any]:
    hosts = tuple(dict.fromkeys((host, *situation.database_hosts)))
    return {"hosts": hosts, "colour": target.colour, "version": target.version}
