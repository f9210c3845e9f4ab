"""What a declared smoke check may say, and how a wrong one is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from changeover import checks
from changeover.release import Pack

PAGE = Path(__file__).parents[2] / "docs" / "smoke-checks.md"


class Release(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    smoke: checks.Checks = ()


def load(text: str) -> Release:
    return Release.model_validate({"smoke": yaml.safe_load(text)})


def examples() -> list[str]:
    found = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    # that of a pack is read as one
    return [text for text in found if text.startswith("-")]


def test_the_page_shows_a_pack_that_can_be_read() -> None:
    (text,) = re.findall(r"```yaml\n(summary: .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    pack = Pack.model_validate_json(json.dumps(yaml.safe_load(text)))

    assert [check.id for check in pack.checks] == ["agents-need-a-token"]


def test_the_page_is_right() -> None:
    saved = {"save": {"ticket": "json:/ticket"}}
    before = [{"id": "sign-in", "request": "GET /", **saved}]
    blocks = [yaml.safe_load(text) for text in examples()]

    for block in blocks:
        Release.model_validate({"smoke": [*before, *block]})

    assert {kind for block in blocks for check in block for kind in check} >= {
        "request",
        "flow",
        "websocket",
        "tls",
    }


@pytest.mark.parametrize("exclude", [True, False])
def test_a_dump_reads_back(exclude: bool) -> None:
    text = "\n".join(block for block in examples() if "ticket" not in block)
    release = load(text)

    again = Release.model_validate_json(release.model_dump_json(exclude_defaults=exclude))

    assert again == release


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("[{id: a, request: {pth: /}}]", "smoke.0.request.pth", "not permitted"),
        ("[{id: a, tls: {floor: 1}}]", "smoke.0.tls.floor", "not permitted"),
        (
            "[{id: a, flow: [{request: GET /, expct: {}}]}]",
            "smoke.0.flow.0.expct",
            "not permitted",
        ),
        ("[{id: a, request: GET /, tls: {}}]", "smoke.0", "exactly one of request"),
        ("[{id: a}]", "smoke.0", "exactly one of request"),
        ("[a]", "smoke.0", "a check is a mapping"),
        ("[{id: a, flow: []}]", "smoke.0.flow", "at least one step"),
        ("[{id: A b, request: GET /}]", "smoke.0.id", "match pattern"),
        ("[{id: a, tls: {}}, {id: a, tls: {}}]", "smoke", "the same id twice: a"),
        ('[{id: a, request: "GET /${token}"}]', "smoke", "no earlier step saves ${token}"),
        ("[{id: a, request: {path: /, json: 1, text: x}}]", "smoke.0.request", "at most one of"),
        (
            "[{id: a, request: {path: /, url: 'https://x.test'}}]",
            "smoke.0.request",
            "either path or",
        ),
        (
            "[{id: a, request: GET /, expect: {headers: {x: {matches: '('}}}}]",
            "smoke.0.expect.headers.x.matches",
            "not a regular expression",
        ),
        ("[{id: a, request: GET /, save: {x: body}}]", "smoke.0.save.x", "match pattern"),
        (
            "[{id: a, request: {path: /, follow: true}, preview: true}]",
            "smoke.0",
            "no follow",
        ),
        (
            (
                '[{id: a, request: GET /, save: {t: "json:/t"}},'
                ' {id: b, request: "GET /${t}", preview: true}]'
            ),
            "smoke.1",
            "a preview cannot use captures: t",
        ),
        (
            "[{id: a, websocket: {path: /, turns: [{receive: {within_seconds: 1}}]}}]",
            "smoke.0.websocket.turns.0.receive",
            "exactly one of json",
        ),
    ],
)
def test_a_wrong_check_is_refused_with_its_path(text: str, path: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        load(text)

    first = raised.value.errors()[0]
    assert ".".join(str(part) for part in first["loc"]) == path
    assert message in first["msg"]


def test_the_environment_variables_that_checks_read() -> None:
    release = load(
        """
        - {id: a, request: {path: /, headers: {x-key: "${env:API_KEY}"}}}
        - {id: b, websocket: {path: "/ws?k=${env:WS_KEY}", refused: 401}}
        - {id: c, request: GET /, expect: {json: {at: "${public_url}", cost: "$${env:NOT}"}}}
        """
    )

    assert checks.environment_names(release.smoke) == {"API_KEY", "WS_KEY"}
