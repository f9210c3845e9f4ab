"""The pages on declarations name every key that is read, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args, get_origin

import pydantic
from tests.docs.test_docs import DOCS

from changeover.checks import FlowCheck, HttpCheck, TlsCheck, WebSocketCheck, records
from changeover.inventory.reading import KNOWN_VARIABLES
from changeover.release import App, Release

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = re.compile(r"^\| `([a-z_.<>]+)` \|", re.MULTILINE)


def keys(model: type[pydantic.BaseModel], above: str = "") -> Iterator[str]:
    """Yield the dotted keys of a declaration; smoke checks have a page of their own."""
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        yield key
        named = get_origin(field.annotation) is dict
        for inner in models_in(field.annotation):
            if key != "requires.recommended":
                yield from keys(inner, f"{key}.<name>." if named else f"{key}.")


def models_in(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if not issubclass(annotation, records.Declared):
            yield annotation
    else:
        for argument in get_args(annotation):
            yield from models_in(argument)


def test_the_page_on_releases_has_every_key_and_no_other() -> None:
    known = {*keys(App), *keys(Release)}

    assert set(KEY.findall((DOCS / "releases.md").read_text())) == known


def test_the_page_on_smoke_checks_names_every_key() -> None:
    declared = [each for each in vars(records).values() if isinstance(each, type)]
    models = [each for each in declared if issubclass(each, records.Declared)]
    models += [HttpCheck, FlowCheck, WebSocketCheck, TlsCheck]
    known = {field.alias or name for each in models for name, field in each.model_fields.items()}
    text = (DOCS / "smoke-checks.md").read_text()

    assert {key for key in known if not re.search(rf"\b{key}\b", text)} == set()


def test_the_page_on_environments_has_every_variable_and_no_other() -> None:
    text = (DOCS / "environments-and-secrets.md").read_text()

    assert set(re.findall(r"^\| `(changeover_\w+)`", text, re.MULTILINE)) == KNOWN_VARIABLES
