"""The verb ``db adopt``: begin the ledger of a database whose schema is there already."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.db_releases import releases_with_database
from changeover.cli.desk import Desk, context_of, open_desk
from changeover.counts import counted

if TYPE_CHECKING:
    from changeover.cli.output import Output
    from changeover.executors.migrate import Baseline, Proof

Version = Annotated[str, typer.Argument(help="The release whose schema the database has.")]
Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", help="A migration that you answer for unproved; may be repeated."),
]


def adopt(
    version: Version,
    trust: Trust = None,
    env: options.Env = options.DEFAULT_ENVIRONMENT,
    app: options.App = None,
    *,
    json: options.Json = False,
) -> None:
    """Write as applied what an existing database proves to have; run nothing."""
    from changeover.executors import migrate  # noqa: PLC0415 - `--help` does without
    from changeover.runner import by_hand, database  # noqa: PLC0415 - `--help` does without

    desk = open_desk(env, app, json_lines=json)
    folders = database.migration_folders(*releases_with_database(desk, version))
    opened = context_of(desk)
    answered = tuple(trust or ())
    with database.owner_database(desk.environment, opened.declared) as place:
        # What is refused is refused before the hosts hear of it.
        migrate.examine(place, folders, trust=answered, release=version)
        known = migrate.fence(place)
        with by_hand.leased(
            opened, "db adopt", version, hint=_again(desk, version), beyond=known
        ) as run:
            proof = migrate.adopt(
                place,
                folders,
                trust=answered,
                release=version,
                fence=database.fence(run),
                report=desk.output.event,
            )
            _tell(desk.output, proof)


def tell_baseline(output: Output, begun: Baseline) -> None:
    """Tell where a ledger began that was adopted."""
    trusted = f", on trust: {', '.join(begun.trusted)}" if begun.trusted else ""
    output.data(
        {"type": "baseline", **asdict(begun)},
        f"adopted as {begun.release} at {begun.adopted_at:%Y-%m-%d %H:%M:%S}{trusted}",
    )
    for told in begun.recorded:
        output.note(told.says)


def _again(desk: Desk, version: str) -> str:
    return (
        f"changeover db status {version} --env {desk.environment.name} tells whether it was adopted"
    )


def _tell(output: Output, proof: Proof) -> None:
    for told in proof.recorded:
        output.data({"type": "recorded", **asdict(told)}, told.says)
    for migration in proof.standing:
        trusted = migration.id in proof.trusted
        output.data(
            {"type": "migration", "id": migration.id, "state": "applied", "trusted": trusted},
            f"{migration.id}{' (on trust)' if trusted else ''}",
        )
    for migration in proof.pending:
        output.data(
            {"type": "migration", "id": migration.id, "state": "pending", "trusted": False},
            f"{migration.id} (pending)",
        )
    output.note(
        f"{counted(len(proof.standing), 'migration')} adopted as {proof.release},"
        f" {len(proof.trusted)} taken on trust, {len(proof.pending)} left to finalize"
    )
