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
    list[Path], typer.Argument(help="SQL files, or folders with expand, backfill, contract.")
]
Sarif = Annotated[
    Path | None, typer.Option("--sarif", help="Also write the findings as SARIF to this file.")
]
SUITE = "db-lint"
BESIDE = {"revert-missing", "verify-missing"}


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
    output = output_of(json_lines=json)
    releases = _releases(files)
    read = [migration for release in releases for migration in release]
    found = [finding for release in releases for finding in _judged(release)]
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


def _releases(paths: Sequence[Path]) -> list[list[Migration]]:
    """Return the migrations to judge, those of one release together and in the order they run.

    What one file of a release makes, a later one may change without shutting anybody out.
    """
    from changeover.migrations import folder  # noqa: PLC0415 - `--help` does without
    from changeover.migrations.records import PHASES  # noqa: PLC0415 - `--help` does without

    whole: list[list[Migration]] = []
    single: dict[Path, dict[Path, Migration]] = {}
    for path in paths:
        if path.is_dir() and not (loose := sorted(path.glob("*.sql"))):
            found = folder.load(path, path.parent.name or "release").migrations
            if not found:
                raise InvalidInput(
                    f"no SQL file lies in {path}", hint="give migration files or folders"
                )
            whole.append([*found])
            continue
        for each in map(folder.main_file, loose if path.is_dir() else [path]):
            phased = each.parent.name in PHASES
            top = each.parent.parent if phased else each.parent
            single.setdefault(top, {})[each] = _single(each)
    return whole + [
        sorted(files.values(), key=lambda each: (PHASES.index(each.phase), each.number))
        for files in single.values()
    ]


def _single(path: Path) -> Migration:
    from changeover.migrations import folder  # noqa: PLC0415 - `--help` does without
    from changeover.migrations.records import PHASES  # noqa: PLC0415 - `--help` does without

    if not path.is_file():
        raise InvalidInput(f"{path} does not exist", hint="give migration files or folders")
    if path.suffix != ".sql":
        raise InvalidInput(f"{path} is no SQL file", hint="give files that end in .sql, or folders")
    phase: Phase = next((name for name in PHASES if name == path.parent.name), "expand")
    load = folder.load_file if folder.named_as_ours(path) else folder.load_other
    return load(path, path.parent.parent.parent.name or "release", phase)


def _judged(migrations: Sequence[Migration]) -> list[Finding]:
    from changeover.migrations import folder, hazards  # noqa: PLC0415 - `--help` does without

    # Where files are named otherwise, nothing can lie beside them that could be missing.
    others = {str(each.path) for each in migrations if not folder.named_as_ours(each.path)}
    places = {str(each.path): place for place, each in enumerate(migrations)}
    found = [
        finding
        for finding in hazards.lint(migrations)
        if finding.path not in others or finding.rule not in BESIDE
    ]
    return sorted(found, key=lambda each: (places[each.path], each.line))


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
