"""The verb ``db lint``: migration files on their own, for people and for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from changeover.cli import options
from changeover.cli.desk import output_of
from changeover.counts import counted
from changeover.errors import CheckRed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.migrations.hazards import Finding
    from changeover.migrations.records import Migration, Phase

Files = Annotated[
    list[Path], typer.Argument(help="Migration files, or folders with expand, backfill, contract.")
]
Sarif = Annotated[
    Path | None, typer.Option("--sarif", help="Also write the findings as SARIF to this file.")
]
SUITE = "db-lint"


class HazardsFound(CheckRed):
    """Files hold statements that shut users out or break the old version."""


def lint(
    files: Files,
    *,
    json: options.Json = False,
    sarif: Sarif = None,
    junit: options.Junit = None,
) -> None:
    """Find what would hurt a database in use; exit 6 when it shuts users out."""
    from changeover.migrations import hazards  # noqa: PLC0415 - `--help` does without

    output = output_of(json_lines=json)
    read: list[Migration] = []
    found: list[Finding] = []
    for path in files:
        migrations = _migrations(path)
        read += migrations
        found += hazards.lint(migrations)
    for finding in found:
        output.data(finding.as_event(), finding.text)
    if sarif is not None:
        output.save(sarif, _as_sarif(found))
        output.note(f"results written to {sarif}")
    if junit is not None:
        output.save(junit, _as_junit(read, found))
        output.note(f"results written to {junit}")
    errors = sum(finding.severity == "error" for finding in found)
    output.note(f"{counted(len(found), 'finding')}, {counted(errors, 'error')} among them")
    if errors:
        raise HazardsFound(
            counted(
                errors,
                "statement shuts users out or breaks the old version",
                "statements shut users out or break the old version",
            ),
            hint="write them as the findings say, and lint again",
        )


def _migrations(path: Path) -> tuple[Migration, ...]:
    from changeover.migrations import folder  # noqa: PLC0415 - `--help` does without
    from changeover.migrations.records import PHASES  # noqa: PLC0415 - `--help` does without

    if path.is_dir():
        return folder.load(path, path.parent.name or "release").migrations
    if not path.is_file():
        raise InvalidInput(f"{path} does not exist", hint="give migration files or folders")
    phase: Phase = next((name for name in PHASES if name == path.parent.name), "expand")
    return (folder.load_file(path, path.parent.parent.parent.name or "release", phase),)


def _as_sarif(found: Sequence[Finding]) -> str:
    from changeover import sarif  # noqa: PLC0415 - only who asks for it needs it
    from changeover.migrations.rules import RULES  # noqa: PLC0415

    return sarif.document(
        [sarif.Rule(id=rule.name, level=rule.severity, about=rule.about) for rule in RULES],
        [
            sarif.Result(
                rule=finding.rule,
                level=finding.severity,
                message=f"{finding.message}; {finding.hint}",
                path=Path(finding.path),
                line=finding.line,
            )
            for finding in found
        ],
        top=Path.cwd(),
    )


def _as_junit(read: Sequence[Migration], found: Sequence[Finding]) -> str:
    """Return one case a finding, red where it is an error, and a green one a file without any."""
    from changeover import junit  # noqa: PLC0415 - only who asks for it needs it

    noticed = {finding.path for finding in found}
    cases = [
        junit.Case(
            name=f"{finding.rule} line {finding.line}",
            group=finding.path,
            failure=finding.message if finding.severity == "error" else None,
            text=finding.text,
        )
        for finding in found
    ]
    cases += [
        junit.Case(name="no finding", group=str(migration.path))
        for migration in read
        if str(migration.path) not in noticed
    ]
    return junit.document(SUITE, cases, seconds=0.0)
