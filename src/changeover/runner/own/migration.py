"""Run the app's own migrator on the live database, once, and say what stands where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.errors import ChangeoverError, Failed, Mixed
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors.backup import rehearsal as schemas
from changeover.outcome import Outcome
from changeover.runner import database
from changeover.runner.backups.points import Points
from changeover.runner.own import migrator as own
from changeover.runner.own import schema as own_schema

if TYPE_CHECKING:
    from changeover.executors.backup import Vault
    from changeover.executors.migrate import OwnTurn
    from changeover.executors.migrator import What
    from changeover.outcome import Ran
    from changeover.runner.run import Run
    from changeover.steps import MigrateOwn

# Beside the commands themselves: the definitions, the data checks, the turn of another runner.
SPARE_SECONDS = 1800
COMMANDS = 3


class OwnMigratorFailed(Failed):
    """The app's own migrator failed, and left the definitions as they were."""


class OwnMigratorHalfDone(Mixed):
    """The app's own migrator failed after it had changed definitions."""


def run_own(run: Run, step: MigrateOwn) -> Outcome:
    """Run the release's migrator on the live database, unless its status has nothing left.

    Raises:
        OwnMigratorFailed: It failed, or did not do all, or data checks are red; no definition changed.
        OwnMigratorHalfDone: The same, and definitions did change.
        RunnerBusy: Another runner is at the database.
        RunnerFenced: A newer deployment has taken over.
    """
    _, migrator = own.declared(run)
    with (
        database.owner_database(run.environment, run.app) as place,
        migrate.own_turn(
            place,
            fence=database.fence(run),
            deadline_seconds=COMMANDS * migrator.deadline_seconds + SPARE_SECONDS,
            report=run.report,
        ) as turn,
    ):
        return _Migration(run, step, turn, backups.vault_of(run.fleet)).walk(
            known=migrate.own_rows(place).get(step.version)
        )


@dataclass(slots=True)
class _Migration:
    """One run under way.

    Args:
        run: The run.
        step: The step.
        turn: Keeps other runners away, and writes the ledger.
        vault: Knows the definitions.
        before: All definitions before it; of an adopted run, those of its rehearsal.
    """

    run: Run
    step: MigrateOwn
    turn: OwnTurn
    vault: Vault
    before: str = ""

    def walk(self, known: migrate.OwnRow | None) -> Outcome:
        release, migrator = own.declared(self.run)
        cut_off = (
            known is not None
            and known.state == "running"
            and known.deployment == self.run.fleet.deployment
        )
        self.before = schemas.live_schema(self.vault)
        if not cut_off and migrator.status is not None and self._command("status").well:
            return self._found(migrator.status)
        checks = own.checks_of(release)
        compared = self.turn.note(checks) if checks and self.step.first and not cut_off else None
        if not cut_off:
            Points(self.run, 1).before(own.identity(self.step.version))
        self.turn.begin(self._begun)
        if cut_off and self.run.own is not None:
            # An earlier run began it: what it met is what the backup of this deployment holds.
            self.before = self.run.own.schema_before
        ran = self._command("command")
        red = [] if ran.well else [f"{own.said(migrator.command)} {ran.ending}"]
        causes = [] if ran.well else [ran.tail]
        if migrator.status is not None:
            left = self._command("status")
            if not left.well:
                red.append(f"by {own.said(migrator.status)} something is left to do")
                causes += [f"{own.said(migrator.status)}:", left.tail]
        says = []
        if checks and not red:
            taken = self.turn.take(checks, compared)
            migrate.own_told(self.run.report, own.identity(self.step.version), taken)
            red += migrate.own_red(checks, taken)
            says = [f"{counted(len(taken), 'data check')} green"]
        after = schemas.live_schema(self.vault)
        changes = own_schema.changes(self.before, after, without=migrator.tables)
        if cut_off and known is not None and self._digest(after) == known.schema_before:
            changes = ()
        self._end("failed" if red else "applied", "executed", ran, after)
        if red:
            raise self._failed(red, causes, changes)
        if not cut_off:
            self._compare(changes)
        return Outcome(
            says="; ".join(
                [
                    f"{own.said(migrator.command)} on {ran.host} {ran.ending}",
                    counted(
                        len(changes), "line of the schema changed", "lines of the schema changed"
                    ),
                    *says,
                ]
            ),
            figures={"seconds": ran.seconds, "schema_lines": len(changes)},
        )

    def _command(self, what: What) -> Ran:
        name = self.run.app.database.name if self.run.app.database else ""
        return own.command(self.run, self.step.colour, name, what, "live")

    def _digest(self, schema: str) -> str:
        return own_schema.digest(schema, own.declared(self.run)[1].tables)

    @property
    def _begun(self) -> migrate.Begun:
        return migrate.Begun(
            release=self.step.version,
            bundle=self.run.bundle.digest if self.run.bundle else "",
            command=own.declared(self.run)[1].command,
            schema_before=self._digest(self.before),
            backup="" if self.step.first else self.run.fleet.deployment,
            undo_proved=bool(self.run.own and self.run.own.undo_proved),
            deployment=self.run.fleet.deployment,
            host=own.host(self.run).name,
        )

    def _end(self, state: migrate.OwnState, how: migrate.How, ran: Ran | None, after: str) -> None:
        self.turn.end(
            migrate.Ended(
                release=self.step.version,
                state=state,
                how=how,
                exit=ran.exit if ran else None,
                seconds=ran.seconds if ran else None,
                schema_after=self._digest(after),
            )
        )

    def _found(self, status: tuple[str, ...]) -> Outcome:
        """Write that nothing was left, by the word of the app's own status."""
        if not self.turn.found(self._begun):
            self.turn.begin(self._begun)
            self._end("applied", "found", None, self.before)
        return Outcome(says=f"nothing to do: {own.said(status)} ended with 0", changed=False)

    def _compare(self, changes: tuple[str, ...]) -> None:
        """Tell where the live schema changed otherwise than the clone's did."""
        rehearsed = self.run.own
        if rehearsed is None or sorted(rehearsed.changes) == sorted(changes):
            return
        lines = sorted({*rehearsed.changes} ^ {*changes})
        says = f"warning: the schema changed otherwise than rehearsed: {'; '.join(lines[:5])}"
        self.run.note({"type": "warning", "says": says})

    def _failed(
        self, red: list[str], causes: list[str], changes: tuple[str, ...]
    ) -> ChangeoverError:
        name, backup = self.run.environment.name, self.run.fleet.deployment
        again = f"correct it, then changeover deploy {self.step.version} --env {name} runs it again"
        hint = again
        if not self.step.first:
            hint += f"; the backup from before: changeover backup price {backup} --env {name}"
        if not changes:
            return OwnMigratorFailed(
                f"{'; '.join(red)}; the schema is as before, rows were not compared",
                hint=hint,
                host=own.host(self.run).name,
                cause="\n".join(causes) or None,
            )
        return OwnMigratorHalfDone(
            f"{'; '.join(red)}; the schema is not as before: "
            f"{counted(len(changes), 'line')} changed",
            hint=hint,
            host=own.host(self.run).name,
            cause="\n".join([*causes, "what stands in the schema:", own_schema.shown(changes)]),
        )
