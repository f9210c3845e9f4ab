"""Hold a value against what was declared of it. Pure: values in, sentences out."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

from changeover.counts import counted
from changeover.executors.smoke.masking import telling
from changeover.secret import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.checks.records import ValueRule


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
}


def type_name(value: object) -> str:
    """Return the JSON type of a value, with integers told from other numbers."""
    return _TYPES.get(type(value), "object")


def shown(value: object, where: str = "") -> str:
    """Return a value as it stands in a message; masked where its place tells of a secret."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, str) and telling(where):
        return REDACTED
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:120] + "..."  # noqa: PLR2004 - one line of a terminal


def at(document: object, pointer: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON pointer (RFC 6901) names in a document, or ``ABSENT``."""
    value: Any = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return ABSENT
    return value


def _same(expected: object, actual: object) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return expected == actual


def subset(expected: object, actual: object, where: str = "") -> Iterator[str]:
    """Yield where ``actual`` does not contain ``expected``; lists are compared in length, too."""
    place = f"json {where or '/'}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            yield from subset(value, actual.get(key, ABSENT), f"{where}/{key}")
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{place} has {counted(len(actual), 'item')}, expected {len(expected)}"
            return
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            yield from subset(left, right, f"{where}/{index}")
    elif not _same(expected, actual):
        yield f"{place} is {shown(actual, where)}, expected {shown(expected)}"


def judge(rule: ValueRule, value: object, where: str) -> Iterator[str]:
    """Yield in what way a value does not satisfy its rule."""
    if value is ABSENT:
        if rule.present:
            yield f"{where} is absent"
        return
    if not rule.present:
        yield f"{where} is {shown(value, where)}, expected absent"
        return
    if rule.equals is not None and not _same(rule.equals, value):
        yield f"{where} is {shown(value, where)}, expected {shown(rule.equals)}"
    if rule.type is not None and not _is(rule.type, value):
        yield f"{where} is of type {type_name(value)}, expected {rule.type}"
    yield from _judge_number(rule, value, where)
    yield from _judge_text(rule, value, where)


def _is(wanted: str, value: object) -> bool:
    name = type_name(value)
    return name == wanted or (wanted == "number" and name == "integer")


def _judge_number(rule: ValueRule, value: object, where: str) -> Iterator[str]:
    for limit, word in ((rule.minimum, "at least"), (rule.maximum, "at most")):
        if limit is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where} is {shown(value, where)}, expected a number"
        elif value < limit if word == "at least" else value > limit:
            yield f"{where} is {value}, expected {word} {limit:g}"


def _judge_text(rule: ValueRule, value: object, where: str) -> Iterator[str]:
    if rule.matches is None and rule.contains is None and not rule.query and not rule.claims:
        return
    if not isinstance(value, str):
        yield f"{where} is of type {type_name(value)}, expected string"
        return
    if rule.matches is not None and not re.search(rule.matches, value):
        yield f"{where} is {shown(value, where)}, expected to match {rule.matches}"
    if rule.contains is not None and rule.contains not in value:
        yield f"{where} is {shown(value, where)}, expected to contain {shown(rule.contains)}"
    parameters = urllib.parse.parse_qs(urllib.parse.urlsplit(value).query, keep_blank_values=True)
    for name, inner in rule.query.items():
        yield from judge(inner, parameters.get(name, [ABSENT])[0], f"{where} parameter {name}")
    yield from _judge_claims(rule, value, where)


def _judge_claims(rule: ValueRule, value: str, where: str) -> Iterator[str]:
    if not rule.claims:
        return
    said = claims(value)
    if said is None:
        yield f"{where} is no JSON Web Token"
        return
    for name, inner in rule.claims.items():
        # Its place is left out: a token is masked, what it says of roles and limits is shown.
        yield from judge(inner, said.get(name, ABSENT), f"claim {name}")


def claims(token: str) -> dict[str, Any] | None:
    """Return what a JSON Web Token says, whoever signed it; ``None`` where it is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature (RFC 7519)
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
