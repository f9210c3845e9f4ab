"""Secrets print as redacted, and the sink finds every form of them."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from changeover.secret import Redactor, Secret

CANARY = '~~~>>>???/"x y'


def test_a_secret_shows_itself_in_no_conversion() -> None:
    secret = Secret(CANARY)

    assert CANARY not in f"{secret} {secret!r} {[secret]}"


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode(),
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote_plus(CANARY),
        json.dumps(CANARY)[1:-1],
    ],
)
def test_every_form_is_taken_out_of_text(form: str) -> None:
    redacted = Redactor([Secret(CANARY)])(f"before {form} after")

    assert redacted == "before [REDACTED] after"


SEVERAL = '-- begin --\nfirst\'line\\of it\n  second "line"\nend\n'


@pytest.mark.parametrize(
    "form",
    [
        repr(SEVERAL),
        repr([SEVERAL]),
        repr(f"{SEVERAL} and 'quotes' of \"both\" kinds"),
        repr("first'line\\of it"),
        SEVERAL.replace("\n", "\n         "),
        "one line alone: first'line\\of it",
    ],
)
def test_no_line_of_a_secret_of_several_lines_is_left(form: str) -> None:
    redacted = Redactor([Secret(SEVERAL)])(form)

    assert "first" not in redacted
    assert "second" not in redacted


def test_a_very_short_value_is_left_alone() -> None:
    assert Redactor([Secret("on")])("on and on") == "on and on"
