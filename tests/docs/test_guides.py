import re
from pathlib import Path

import pytest

from changeover.release.reading import load_release, versions

ROOT = Path(__file__).parents[2]
RELEASES = [
    (app.parent.name, version)
    for app in sorted(ROOT.glob("apps/*/app.yml"))
    for version in versions(ROOT, app.parent.name)
]
HEADING = re.compile(r"^(?P<marks>#+) (?P<title>.*?)(?: \{#(?P<id>[a-z0-9-]+)\})?$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def headings(app: str, version: str) -> list[re.Match[str]]:
    text = (load_release(ROOT, app, version).directory / "GUIDE.md").read_text()
    return list(HEADING.finditer(FENCED.sub("", text)))


def sections(app: str, version: str) -> list[str]:
    return [found["id"] for found in headings(app, version) if found["marks"] == "##"]


def test_there_are_releases_to_look_at() -> None:
    assert RELEASES


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_every_section_has_an_id_of_its_own(app: str, version: str) -> None:
    found = sections(app, version)

    assert found
    assert None not in found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_every_section_is_what_some_step_does(app: str, version: str) -> None:
    tied = {section for ids in load_release(ROOT, app, version).guide.values() for section in ids}

    assert set(sections(app, version)) - tied == set()


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_every_step_does_what_some_section_says(app: str, version: str) -> None:
    release = load_release(ROOT, app, version)
    known = set(sections(app, version))

    missing = {kind: set(ids) - known for kind, ids in release.guide.items() if set(ids) - known}

    assert missing == {}


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_the_steps_that_every_deployment_has_are_in_the_guide(app: str, version: str) -> None:
    release = load_release(ROOT, app, version)
    always = {"preflight", "lock", "backup", "place", "start", "health", "switch", "confirm"}
    phases = {
        phase
        for phase in ("expand", "backfill", "contract")
        if any((release.migrations / phase).glob("*.sql"))
    }
    checks = {"smoke", "preview"} if release.smoke_checks else set()

    assert (always | phases | checks | {"rollback"}) - set(release.guide) == set()


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_a_guide_is_about_its_own_version(app: str, version: str) -> None:
    first = headings(app, version)[0]

    assert first["marks"] == "#"
    assert first["title"].endswith(version)


@pytest.mark.parametrize(("app", "version"), RELEASES)
def test_a_guide_names_the_variables_that_have_to_be_set(app: str, version: str) -> None:
    release = load_release(ROOT, app, version)
    text = (release.directory / "GUIDE.md").read_text()
    before = {
        name
        for old in (*release.follows, *release.direct)
        for name in load_release(ROOT, app, old).environment.variables
    }
    new_secrets = {
        name
        for name, variable in release.environment.variables.items()
        if variable.secret and variable.required and name not in before
    }

    unnamed = {name for name in new_secrets if name not in text and "_CLIENT_SECRET" not in name}

    assert unnamed == set()
