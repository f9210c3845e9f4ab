"""What a verb works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.cli import desk, status
from changeover.cli.output import Output
from changeover.errors import InvalidInput
from changeover.remote import line
from changeover.secret import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.unit.conftest import Project

    from changeover.inventory import Environment, Host

BALANCER = "    lb:\n      hosts:\n        edge:\n          ansible_host: 192.0.2.14\n"


def test_every_host_of_a_lease_is_reached_while_what_acts_on_it_is_loaded(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that only balances, too: the first question waits for the last host."""
    project.edit(project.root / "inventories/demo/hosts.yml", "    lb:\n      hosts:\n", BALANCER)
    reached: list[str] = []

    def reach(_: Environment, hosts: Iterable[Host]) -> dict[str, line.Line]:
        reached.extend(host.name for host in hosts)
        return {}

    monkeypatch.setattr(line, "reach", reach)
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    opened = desk.open_desk("demo", None, json_lines=True)

    desk.reaching(opened)

    assert sorted(reached) == ["edge", "one", "three", "two"]
    assert reached == [host.name for host in opened.environment.lease_hosts]


def test_what_is_about_hosts_asks_for_no_app(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.edit(project.variables, "changeover_apps: [hello]", "changeover_apps: [hello, other]")
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))

    assert desk.open_desk("demo", None, json_lines=True, about_hosts=True).app == "hello"
    with pytest.raises(desk.AppUnclear, match="has several apps: hello, other"):
        desk.open_desk("demo", None, json_lines=True)


def test_commands_that_are_named_next_name_the_app_where_there_are_several(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.edit(project.variables, "changeover_apps: [hello]", "changeover_apps: [hello, other]")
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    monkeypatch.setattr(desk, "_OUTPUT", Output(redactor=Redactor()))
    opened = desk.open_desk("demo", "hello", json_lines=False)

    opened.output.error(InvalidInput("interrupted", hint="changeover resume --env demo goes on"))

    assert "next:  changeover resume --env demo --app hello goes on" in capsys.readouterr().err


def test_what_tells_of_every_app_names_each_and_its_commands(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.edit(project.variables, "changeover_apps: [hello]", "changeover_apps: [hello, other]")
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    monkeypatch.setattr(desk, "_OUTPUT", Output(redactor=Redactor()))

    for opened in desk.open_desks("demo", None, json_lines=False):
        opened.output.data({}, f"changeover rollback --env demo to what {opened.app} was")

    assert capsys.readouterr().out.splitlines() == [
        "hello:",
        "changeover rollback --env demo --app hello to what hello was",
        "other:",
        "changeover rollback --env demo --app other to what other was",
    ]
    assert [one.app for one in desk.open_desks("demo", "other", json_lines=False)] == ["other"]
    assert capsys.readouterr().out == ""


def test_what_keeps_one_app_from_being_told_hides_no_other_and_names_its_own_commands(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.edit(project.variables, "changeover_apps: [hello]", "changeover_apps: [hello, other]")
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    monkeypatch.setattr(desk, "_OUTPUT", Output(redactor=Redactor()))

    def told(opened: desk.Desk) -> None:
        opened.output.data({}, f"of {opened.app}")
        if opened.app == "hello":
            raise InvalidInput("unreadable", hint="changeover resume --env demo")

    monkeypatch.setattr(status, "_told", told)

    with pytest.raises(InvalidInput) as caught:
        status.status(env="demo")
    desk.output_of(json_lines=False).error(caught.value)

    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["hello:", "of hello", "other:", "of other"]
    assert "next:  changeover resume --env demo --app hello" in printed.err
