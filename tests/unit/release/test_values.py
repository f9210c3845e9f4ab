from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from changeover import release
from changeover.agent.colour import environment_file
from changeover.agent.failure import ActionError
from changeover.release import Values, ValuesInvalid, Variable
from changeover.secret import Secret

if TYPE_CHECKING:
    from tests.unit.conftest import Project

UNREADABLE = "holds a control character other than tab and newline, or is not UTF-8"
TOKEN = 'tok/en with "quotes" & more'


def values_of(project: Project, version: str) -> Values:
    releases = project.releases
    return release.environment_values(project.app, releases[version], releases, project.environment)


def refused(project: Project, version: str) -> ValuesInvalid:
    with pytest.raises(ValuesInvalid) as caught:
        values_of(project, version)
    return caught.value


def write_secrets(project: Project, text: str) -> None:
    project.write_vault(
        f"changeover_secrets: {{hello: {text}}}\n"
        "changeover_database_passwords: {hello: {app: x}}\n"
        "changeover_cache_passwords: {hello: x}\n"
    )


def test_every_variable_has_a_value_and_an_origin(project: Project) -> None:
    values = values_of(project, "2.0.0")
    assert {entry.name: entry.origin for entry in values.entries} == {
        "TOKEN": "secret",
        "GREETING": "setting",
        "WORKERS": "setting",
        "SHARE": "default",
        "VERBOSE": "setting",
        "LEVEL": "default",
        "PATIENCE": "default",
        "DATABASE_URL": "platform",
        "REDIS_URL": "platform",
        "PUBLIC_URL": "platform",
    }
    assert values.revealed() == {
        "TOKEN": TOKEN,
        "GREETING": "good day",
        "WORKERS": "3",
        "SHARE": "0.5",
        "VERBOSE": "true",
        "LEVEL": "info",
        "PATIENCE": "30s",
        "DATABASE_URL": "postgresql://hello_app:app-p%40ss%2Fw%3Ard@192.0.2.13:5432/hello",
        "REDIS_URL": "redis://hello:cache-p%40ss%23word@192.0.2.13:6379",
        "PUBLIC_URL": "https://hello.example",
    }


def test_a_renamed_secret_is_found_under_its_old_name(project: Project) -> None:
    entry = values_of(project, "2.0.0").entries[0]
    assert (entry.name, entry.found_as, entry.text) == ("TOKEN", "OLD_TOKEN", TOKEN)


def test_an_older_release_finds_a_value_under_its_newer_name(project: Project) -> None:
    write_secrets(project, "{TOKEN: newer-secret}")
    assert values_of(project, "1.0.0")["OLD_TOKEN"] == Secret("newer-secret")


def test_the_own_name_wins(project: Project) -> None:
    write_secrets(project, "{TOKEN: newer-secret, OLD_TOKEN: older-secret}")
    assert values_of(project, "1.0.0")["OLD_TOKEN"] == Secret("older-secret")


def test_no_secret_shows_itself(project: Project) -> None:
    values = values_of(project, "2.0.0")
    shown = f"{values!r} {values.redacted()} {dict(values)}"
    for secret in (TOKEN, "app-p@ss", "app-p%40ss", "cache-p"):
        assert secret not in shown
    assert values.redacted()["TOKEN"] == "[REDACTED]"
    assert values.redacted()["GREETING"] == "good day"


def test_everything_missing_or_wrong_is_named_at_once(project: Project) -> None:
    project.edit(project.variables, "WORKERS: 3", "WORKERS: many\n    GREETIN: typo")
    write_secrets(project, "{}")
    error = refused(project, "2.0.0")
    assert error.message == (
        "hello 2.0.0 cannot run in demo: missing: TOKEN; wrong: WORKERS; unknown: GREETIN"
    )
    place = "inventories/demo/group_vars/all"
    assert [(each.name, each.said, each.hint) for each in error.problems] == [
        (
            "GREETIN",
            "no release reads it, did you mean GREETING?",
            f"edit {place}/main.yml and set changeover_settings.hello.GREETIN",
        ),
        (
            "TOKEN",
            "a required secret is not set",
            f"ansible-vault edit {place}/vault.yml and set changeover_secrets.hello.TOKEN",
        ),
        (
            "WORKERS",
            "'many' is not a whole number",
            f"edit {place}/main.yml and set changeover_settings.hello.WORKERS",
        ),
    ]
    assert len((error.cause or "").splitlines()) == 3
    assert error.exit_code == 2


def test_a_missing_database_password_is_one_of_them(project: Project) -> None:
    project.write_vault("changeover_secrets: {hello: {TOKEN: long-enough}}\n")
    error = refused(project, "2.0.0")
    assert error.message == "hello 2.0.0 cannot run in demo: missing: DATABASE_URL, REDIS_URL"
    assert "changeover_database_passwords.hello.app" in error.problems[0].hint


def test_a_wrong_secret_is_named_and_not_shown(project: Project) -> None:
    write_secrets(project, "{TOKEN: hunter2}")
    error = refused(project, "2.0.0")
    assert error.problems[0].said == "is shorter than 8 characters"
    assert "hunter2" not in str(error.as_event())


def test_a_secret_in_the_plain_settings_is_refused_and_not_shown(project: Project) -> None:
    write_secrets(project, "{}")
    project.edit(project.variables, "WORKERS: 3", "TOKEN: hunter2hunter2")
    error = refused(project, "2.0.0")
    assert "is a secret and stands in plain text" in error.problems[0].said
    assert "hunter2" not in str(error.as_event())


def test_a_host_may_have_its_own_settings(project: Project) -> None:
    project.host_settings("two").write_text(
        "changeover_settings: {hello: {GREETING: hi from two}}\n"
    )
    environment, releases = project.environment, project.releases
    values = {
        host.name: release.environment_values(
            project.app, releases["2.0.0"], releases, environment, host=host
        )["GREETING"]
        for host in environment.hosts_in("app")
    }
    assert values == {"one": "good day", "two": "hi from two"}


@pytest.mark.parametrize(
    ("declared", "given", "text"),
    [
        ({"type": "boolean"}, True, "true"),
        ({"type": "boolean"}, "false", "false"),
        ({"type": "integer"}, 0, "0"),
        ({"type": "integer"}, "-12", "-12"),
        ({"type": "number", "minimum": 0, "maximum": 1}, 0.7, "0.7"),
        ({"type": "number"}, "1e3", "1e3"),
        ({"type": "url"}, "https://name:8443/path?x=1", "https://name:8443/path?x=1"),
        ({"type": "duration"}, "500ms", "500ms"),
        ({"type": "string"}, "", ""),
        ({"type": "integer", "choices": [1, 2]}, "2", "2"),
    ],
)
def test_a_value_becomes_the_text_of_its_type(
    declared: dict[str, object], given: object, text: str
) -> None:
    assert Variable.model_validate_json(_json(declared)).text_of(given) == (text, None)


@pytest.mark.parametrize(
    ("declared", "given", "problem"),
    [
        ({"type": "boolean"}, "yes", "is not true or false"),
        ({"type": "boolean"}, 1, "is not true or false"),
        ({"type": "integer"}, True, "is not a whole number"),
        ({"type": "integer"}, 1.0, "is not a whole number"),
        ({"type": "integer"}, "1_000", "is not a whole number"),
        ({"type": "integer", "minimum": 1}, 0, "is less than 1"),
        ({"type": "number", "maximum": 1}, 1.5, "is more than 1"),
        ({"type": "number"}, "nan", "is not a number"),
        ({"type": "url"}, "name/path", "is not a URL such as https://name/path"),
        ({"type": "url"}, "https://name:port", "is not a URL such as https://name/path"),
        ({"type": "url"}, "https://name/a b", "is not a URL such as https://name/path"),
        ({"type": "duration"}, 30, "is not a duration such as 30s, 5m or 1h"),
        ({"type": "string"}, 5, "is not text: put it in quotes"),
        ({"type": "string"}, ["x"], "is not text"),
        ({"type": "string"}, "a\0b", UNREADABLE),
        ({"type": "string"}, "a\r\nb", UNREADABLE),
        ({"type": "string"}, "a\udcffb", UNREADABLE),
        ({"type": "string", "choices": ["a", "b"]}, "c", "is not one of a, b"),
    ],
)
def test_a_value_of_another_type_is_refused(
    declared: dict[str, object], given: object, problem: str
) -> None:
    assert Variable.model_validate_json(_json(declared)).text_of(given)[1] == problem


@pytest.mark.parametrize("number", [*range(0xA1), 0xD7FF, 0xD800, 0x1F600])
def test_what_the_agent_would_refuse_is_refused_before(number: int) -> None:
    text = f"a{chr(number)}b"
    try:
        environment_file.render({"TEXT": text})
        accepted = True
    except ActionError:
        accepted = False

    assert (Variable().text_of(text)[1] is None) is accepted


def _json(declared: dict[str, object]) -> str:
    return json.dumps(declared)


def lines(project: Project, before: str | None, after: str) -> list[str]:
    releases = project.releases
    changes = release.diff(
        project.app,
        releases[before] if before else None,
        releases[after],
        releases,
        project.environment,
    )
    return [change.as_line() for change in changes]


def test_a_difference_tells_what_is_added_removed_renamed_and_changed(project: Project) -> None:
    project.edit(project.variables, "    GREETING: good day\n", "")
    project.edit(project.release_file("2.0.0"), "default: hello}", "default: good morning}")
    assert lines(project, "1.0.0", "2.0.0") == [
        "> OLD_TOKEN -> TOKEN (same value)",
        "* GREETING: hello -> good morning",
        "+ WORKERS=3",
        "+ SHARE=0.5",
        "+ VERBOSE=true",
        "+ LEVEL=info",
        "+ PATIENCE=30s",
        "+ DATABASE_URL=[REDACTED]",
        "+ REDIS_URL=[REDACTED]",
        "+ PUBLIC_URL=https://hello.example",
        "- LEGACY",
    ]


def test_a_difference_shows_that_a_secret_changes_and_not_how(project: Project) -> None:
    write_secrets(project, "{TOKEN: newer-secret, OLD_TOKEN: older-secret}")
    assert lines(project, "1.0.0", "2.0.0")[0] == "> OLD_TOKEN -> TOKEN=[REDACTED] (another value)"


def test_a_difference_shows_what_is_missing(project: Project) -> None:
    assert "+ CALLBACK_SECRET=(missing)" in lines(project, "2.0.0", "3.0.0")


def test_before_the_first_deployment_everything_is_added(project: Project) -> None:
    assert all(line.startswith("+ ") for line in lines(project, None, "1.0.0"))
