"""A release's own migrator: what its declaration may say, and what the command finds in its environment."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from changeover import bundle, release
from changeover.bundle.archive import read_manifest
from changeover.release import DeclarationInvalid
from changeover.release.owner_values import owner_values

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project

VERSION = "2.0.0"
MIGRATOR = "migrator: {command: [npm, run, migrate]}\n"


@pytest.fixture
def own(project: Project) -> Project:
    """Return a project whose release migrates by its own command."""
    file = project.release_file(VERSION)
    file.write_text(file.read_text() + MIGRATOR)
    shutil.rmtree(file.parent / "migrations", ignore_errors=True)
    owner = project.root / "apps/hello/app.yml"
    text = owner.read_text().replace("  role:", "  migrates_itself: true\n  role:")
    owner.write_text(
        text.replace("owner: hello_owner,", "owner: hello_owner, migrates_itself: true,")
    )
    return project


def refused(project: Project) -> str:
    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(project.root, "hello", VERSION)
    assert caught.value.exit_code == 2
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_a_migrator_is_read(own: Project) -> None:
    found = release.load_release(own.root, "hello", VERSION).migrator

    assert found is not None
    assert (found.command, found.status, found.deadline_seconds) == (
        *(("npm", "run", "migrate"), None, 3600),
    )


def test_it_is_refused_beside_sql_files(own: Project) -> None:
    folder = own.release_file(VERSION).parent / "migrations/expand"
    folder.mkdir(parents=True)
    (folder / "001_a.sql").write_text("SELECT 1")

    assert refused(own).startswith(
        "migrator: a release migrates by SQL files or by its own command"
    )


def test_the_owner_role_has_to_be_let_in_from_app_hosts(own: Project) -> None:
    owner = own.root / "apps/hello/app.yml"
    owner.write_text(owner.read_text().replace("migrates_itself: true", "migrates_itself: false"))

    problem = refused(own)

    assert problem.startswith("migrator: its owner role cannot reach the database")
    assert problem.endswith("then run changeover provision")


def test_checks_without_a_migrator_are_named(own: Project) -> None:
    own.edit(own.release_file(VERSION), MIGRATOR, "")
    (own.release_file(VERSION).parent / "migrator.checks.yml").write_text("sequences: all\n")

    assert refused(own) == "migrator.checks.yml is for a migrator, and none is declared"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("{command: []}", "migrator.command: "),
        ("{status: [node, left.js]}", "migrator.command: missing"),
        ('{command: [npm, "a\\tb"]}', "migrator.command.1: must be printable text of one line"),
        ("{command: [a], undone: [b]}", "migrator.undone: unknown key, did you mean undo"),
        ("{command: [a], tables: ['a; b']}", "migrator.tables.0: must be table or schema.table"),
        ("{command: [a], deadline_seconds: 0}", "migrator.deadline_seconds: "),
    ],
)
def test_a_mistake_in_it_is_named_with_its_path(own: Project, declared: str, said: str) -> None:
    own.edit(own.release_file(VERSION), MIGRATOR, f"migrator: {declared}\n")

    assert refused(own).startswith(said)


def test_the_command_gets_the_owner_s_access_in_place_of_the_app_s(own: Project) -> None:
    found = release.load_release(own.root, "hello", VERSION)
    use = own.app.database
    assert use is not None
    urls = [name for name, each in found.environment.variables.items() if each.source == "database"]
    given = {"GREETING": "hello", **dict.fromkeys(urls, "postgresql://the-app@db/hello")}

    values = owner_values(use, found, own.environment, "hello", given, "hello_clone")

    password = own.environment.database_password("hello", "owner").reveal()
    assert urls
    assert {values[name] for name in (*urls, "DATABASE_URL")} == {values["DATABASE_URL"]}
    assert values["DATABASE_URL"].startswith(f"postgresql://{use.owner}:")
    assert values["DATABASE_URL"].partition("?")[0].endswith("/hello_clone")
    assert (values["PGUSER"], values["PGPASSWORD"]) == (use.owner, password)
    assert (values["PGDATABASE"], values["GREETING"]) == ("hello_clone", "hello")
    assert values["PGOPTIONS"] == "-c lock_timeout=5s"


def test_the_bundle_names_the_command_and_one_without_it_has_no_such_entry(
    own: Project, signing_key: Path
) -> None:
    key = signing_key
    file = own.release_file(VERSION)
    built = [bundle.build(own.root, own.app, own.releases[VERSION], key)]
    own.edit(file, MIGRATOR, "")
    built.append(bundle.build(own.root, own.app, own.releases[VERSION], key))

    entry = read_manifest(built[0].path).migrator
    assert entry is not None
    assert entry.command == ("npm", "run", "migrate")
    assert b'"migrator"' not in built[1].manifest.as_bytes()


def test_a_database_url_that_the_release_keeps_as_a_secret_leads_to_the_clone_as_well(
    own: Project,
) -> None:
    declared = "DATABASE_URL: {type: url, secret: true"
    own.edit(own.release_file(VERSION), f"{declared}, from: database}}", f"{declared}}}")
    found = release.load_release(own.root, "hello", VERSION)
    use = own.app.database
    assert use is not None
    given = {"DATABASE_URL": "postgresql://the-app@db/hello"}

    values = owner_values(use, found, own.environment, "hello", given, "hello_clone")

    assert values["DATABASE_URL"].partition("?")[0].endswith("/hello_clone")
