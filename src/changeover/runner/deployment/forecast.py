"""Find out what a deployment would change before it changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover import bundle, verdict
from changeover.colour import colour_of, version_of
from changeover.errors import Failed
from changeover.executors import migrate
from changeover.plan.database import DEPLOYED_PHASES
from changeover.plan.situation import OwnChange, Situation, SqlChange, Target, TaskDue
from changeover.release import difference, values
from changeover.runner import database
from changeover.runner.deployment import bake, moving, shown_sql
from changeover.runner.fleet import agreement, away
from changeover.runner.own import back as own_back
from changeover.runner.own import migrator as own
from changeover.runner.page import everywhere
from changeover.runner.rehearse import old_version, second_opinion
from changeover.runner.tasks import declared as tasks_declared
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from changeover.executors.migrate import StatementPreview
    from changeover.inventory import Host
    from changeover.migrations.records import Migration, Phase
    from changeover.plan import order
    from changeover.release import Release
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

CONTRACT: tuple[Phase, ...] = ("contract",)


def build(run: Run, releases: Mapping[str, Release]) -> None:
    """Build the release's bundle and resolve its environment values, host by host.

    Raises:
        InvalidInput: A value is missing or of the wrong type, or the bundle cannot be built.
    """
    release = _release(run)
    for host in run.whole.hosts_in("app"):
        found = values.environment_values(run.app, release, releases, run.whole, host=host)
        run.values[host.name] = found.revealed()
    run.bundle = bundle.build(run.root, run.app, release, signing_key=run.environment.signing_key)


def target(run: Run) -> Target:
    """Return what a plan has to know of the release and its bundle."""
    release, built = _release(run), run.bundle
    if built is None:
        raise Failed("the bundle was not built", hint="changeover bundle build VERSION")
    return Target(
        version=release.version,
        colour=colour_of(release.version, built.digest, run.values),
        digest=built.digest,
        bundle=built.path.name,
        guide={str(kind): sections for kind, sections in release.guide.items()},
        drain_seconds=max(process.drain_seconds for process in release.processes.values()),
    )


def situation(
    run: Run,
    releases: Mapping[str, Release],
    after: order.Plan | None = None,
    states: Mapping[str, HostState] | None = None,
    *,
    resumed: bool = False,
) -> Situation:
    """Ask hosts and database, and compare files and variables.

    Args:
        run: The run; its release and bundle are set.
        releases: Every release of the app.
        after: The plan of the stage before, where it has not run yet: its end is where we begin.
        states: What the hosts have said already; they are asked if none.
        resumed: Whether the deployment began before: then we begin where it began.

    Raises:
        Unconfirmed: A deployment ended half way, and this is not its resumption.
        Mixed: The app hosts disagree.
    """
    release = _release(run)
    said = states if states is not None else {} if after else away.present(run)
    live = after.colour if after else _live(run, said, resumed=resumed)
    before = releases.get(version_of(live)) if live else None
    version = version_of(live) if live else None
    due = _due(run, releases, after, version)
    tasks = tasks_declared.facts(releases, release.version, version)
    return Situation(
        environment=run.environment.name,
        app=run.app.app,
        live=live,
        live_version=version_of(live) if live else None,
        app_hosts=tuple(host.name for host in run.app_hosts),
        all_hosts=tuple(host.name for host in run.lease_hosts),
        database_hosts=tuple(host.name for host in _database_hosts(run)),
        files=tuple(moving.files(run, before, release)),
        variables=_variables(run, before, releases),
        pending=tuple(migration.id for migration in due.migrations),
        statements=due.statements,
        advice=due.advice,
        beside=due.beside,
        own=due.own,
        runs=due.runs,
        full=due.full,
        bake_seconds=bake.declared(run.environment, release),
        checks=(*checks_of(due.migrations), *(_own_checks(release) if due.own else ())),
        verdict=verdict.beside_tasks(due.verdict(first=live is None), tasks),
        afterwards=verdict.judge(due.contract) if due.contract else None,
        warnings=(
            *_warnings(release, before),
            *tasks_declared.passed_over(releases, release.version, version),
        ),
        strategy=moving.strategy(run, before, said.values()),
        page=everywhere.by_hand(said.values()),
        **away.told(run),
    )


def _variables(
    run: Run, before: Release | None, releases: Mapping[str, Release]
) -> tuple[str, ...]:
    changes = difference.diff(run.app, before, _release(run), releases, run.environment)
    return tuple(change.as_line() for change in changes)


def _own_checks(release: Release) -> Iterator[str]:
    checks = own.checks_of(release)
    for check in checks.items if checks else ():
        yield f"{own.identity(release.version)}  {check}"


def _live(run: Run, said: Mapping[str, HostState], *, resumed: bool) -> str | None:
    if resumed:
        return agreement.origin(said.values(), target(run).colour, run.environment.name)
    return agreement.settled(said.values(), run.environment.name)


def _release(run: Run) -> Release:
    if run.release is None:
        raise Failed("the run has no release", hint="changeover deploy VERSION")
    return run.release


def _database_hosts(run: Run) -> Sequence[Host]:
    host = database.database_host(run.environment, run.app)
    return [] if host is None else [host]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What a deployment would change in the database.

    Args:
        migrations: The migrations that it runs.
        statements: Their statements, and whom they meet.
        facts: What the way back meets: what stands that the version before has not run, and them.
        contract: The same once `finalize` has run the contract migrations that are pending; empty
            where there are none.
        advice: What squawk says of the statements, weighed.
        beside: What the old version runs beside them, and what a rehearsal found of it.
        own: The app's own migrator, where it is to run.
        undo_proved: Whether a rehearsal proved its undo; ``None`` where none tried it.
        own_stood: What the way back meets of own migrators that ran before.
        full: Whether the database holds rows although nothing is live.
        runs: The tasks of the release that were not done for it yet.
    """

    migrations: tuple[Migration, ...] = ()
    statements: tuple[SqlChange, ...] = ()
    facts: tuple[verdict.MigrationFact, ...] = ()
    contract: tuple[verdict.MigrationFact, ...] = ()
    advice: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    own: OwnChange | None = None
    undo_proved: bool | None = None
    own_stood: tuple[verdict.OwnFact, ...] = ()
    full: bool = False
    runs: tuple[TaskDue, ...] = ()

    def verdict(self, *, first: bool) -> verdict.Verdict:
        """Judge the way back after it."""
        if self.own is None:
            found = verdict.judge(self.facts, first=first)
            instant = found.kind == "instant"
            return verdict.judge_own(self.own_stood) if self.own_stood and instant else found
        pending = verdict.OwnFact(id=self.own.id, undo=bool(self.own.undo), proved=self.undo_proved)
        return verdict.judge_own(own_back.ahead(self.own_stood, pending), first=first)


def _due(
    run: Run, releases: Mapping[str, Release], after: order.Plan | None, before: str | None
) -> _Due:
    """Return what a deployment would change in the database, and what its way back meets.

    Args:
        run: The run.
        releases: Every release of the app.
        after: The plan of the stage before, where it has not run yet.
        before: The version that the way back goes to; ``None`` before the first deployment.

    Raises:
        MigrationEdited: An applied file has another content now.
        KeyUnusable: A backfill cannot walk its table by the key that it names.
        InvalidInput: The app's own migrator cannot run from here.
    """
    folders = database.migration_folders(releases, _release(run).version)
    release = _release(run)
    own_concerned = own.concerned(releases, release.version)
    if not _database_hosts(run) or not (folders or release.runs or own_concerned):
        return _Due()
    run_before = set(after.situation.pending) if after else set()
    due: list[Migration] = []
    contract: list[Migration] = []
    previews: list[StatementPreview] = []
    every: list[Migration] = []
    with database.owner_database(run.environment, run.app) as place:
        database.exceed(run, migrate.fence(place))
        known, ran = migrate.recall(place), migrate.standing(place)
        for folder in folders:
            pending = migrate.pending(place, folder, DEPLOYED_PHASES)
            every += pending
            found = [migration for migration in pending if migration.id not in run_before]
            if found:
                names = {migration.id for migration in found}
                shown = migrate.preview(place, folder, DEPLOYED_PHASES)
                previews += [each for each in shown if each.migration in names]
                due += found
            contract += migrate.pending(place, folder, CONTRACT)
        full = before is None and migrate.full(place)
        change = own.change(run, releases, place, alone=after is None, sql_pending=bool(due))
        runs = tasks_declared.due(release, place)
        if change is None:  # it may change any table first
            migrate.foresee(place, every)
    between = undoing.later(releases, _release(run).version, before)
    return _Due(
        migrations=tuple(due),
        statements=tuple(shown_sql.change(each, known) for each in previews),
        advice=second_opinion.opinion(due, known.exactly(due), previews),
        beside=old_version.told(due, folders, known),
        facts=undoing.ahead(ran, due, folders, known, between),
        contract=undoing.ahead(ran, [*due, *contract], folders, known, between) if contract else (),
        own=change,
        undo_proved=own.undo_proved(run, known),
        own_stood=_own_stood(run, releases, before),
        full=full,
        runs=runs,
    )


def goes_back_alone(run: Run, releases: Mapping[str, Release], before: str) -> bool:
    """Tell whether what is pending can stay, or is undone by itself, where a deployment goes back."""
    due = _due(run, releases, None, before)
    return due.own is None and due.verdict(first=False).kind in {"instant", "revert"}


def _own_stood(
    run: Run, releases: Mapping[str, Release], before: str | None
) -> tuple[verdict.OwnFact, ...]:
    if before is None:
        return ()
    return own_back.stood(run.environment, run.app, releases, before, _release(run).version)


def checks_of(pending: Sequence[Migration]) -> Iterator[str]:
    """Give a line for each data check that these migrations are held to."""
    for migration in pending:
        for check in migration.checks.items if migration.checks else ():
            yield f"{migration.id}  {check}"


def _warnings(release: Release, before: Release | None) -> Iterator[str]:
    if before is not None and before.version in release.direct:
        yield f"HIGH RISK: {before.version} -> {release.version} skips the versions between"
    for check in release.manual:
        yield f"by hand before: {check.text}"
