"""A pack of smoke checks by hand: asked of whatever is live, told with its name."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from tests.unit.executors.smoke.test_http import says

from changeover.cli import desk, smoke
from changeover.cli.output import Output
from changeover.executors.smoke import SmokeRed
from changeover.release import PackUnknown
from changeover.runner.deployment import proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import Project
    from tests.unit.executors.smoke.conftest import Shop

    from changeover.executors.smoke.values import Target

PACK = """
summary: what the first version promised
checks:
  - {id: greets, request: {path: "/greet?token=${env:TOKEN}"}, expect: {json: {hello: world}}}
"""


@pytest.fixture
def packed(
    project: Project,
    shop: Shop,
    serving: Callable[..., Target],
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    folder = project.root / "apps/hello/smoke"
    folder.mkdir()
    (folder / "first.yml").write_text(PACK)
    (folder / "second.yml").write_text(PACK)
    target = serving(shop)
    monkeypatch.setattr(proof, "target_of", lambda *_: target)
    monkeypatch.setattr(desk, "_OUTPUT", Output())
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    return project


def test_a_pack_is_asked_in_place_of_the_releases_checks(
    packed: Project, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packed.root
    shop.answers["/greet"] = says(200, {"hello": "world"})

    smoke.smoke("2.0.0", "demo", pack="first", json=True, junit=tmp_path / "smoke.xml")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    suite = ET.fromstring((tmp_path / "smoke.xml").read_text())  # noqa: S314 - written just now
    case = next(suite.iter("testcase"))
    assert [(each["id"], each["pack"], each["ok"]) for each in lines[1:]] == [
        ("greets", "first", True)
    ]
    assert [asked["path"] for asked in shop.requests] == ["/greet"]
    assert (suite.get("name"), case.get("name")) == ("smoke-2.0.0-first", "greets")
    assert case.get("classname", "").endswith("hello.first")


def test_a_red_pack_does_not_advise_to_go_back_and_shows_no_secret(
    packed: Project, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packed.root
    shop.answers["/greet"] = lambda asked: (403, {}, {"said": asked["query"]["token"]})

    with pytest.raises(SmokeRed, match="1 of 1 smoke checks are red: greets") as caught:
        smoke.smoke("2.0.0", "demo", pack="first")

    assert caught.value.exit_code == 6
    assert caught.value.hint == (
        "changeover smoke --env demo shows whether 2.0.0 keeps its own promises"
    )
    sent = shop.requests[0]["query"]["token"]
    printed = capsys.readouterr()
    assert "[REDACTED]" in printed.out
    assert sent not in printed.out + printed.err + str(caught.value.cause)


def test_an_unknown_pack_lists_those_there_are_and_asks_nothing(
    packed: Project, shop: Shop
) -> None:
    assert packed.root

    with pytest.raises(PackUnknown, match="hello has no pack frist, did you mean first") as caught:
        smoke.smoke("2.0.0", "demo", pack="frist")

    assert (caught.value.exit_code, caught.value.hint) == (2, "name one of: first, second")
    assert shop.requests == []
