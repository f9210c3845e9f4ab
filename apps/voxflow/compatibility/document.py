"""The document of routes that answer tenants in one shape and legacy clients in another."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON = "application/json"


def both(
    tenants: dict[str, Any], former: dict[str, Any], routes: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Return the document of tenants' routes with what legacy clients are answered.

    Args:
        tenants: Theirs.
        former: That of 1.0.0.
        routes: The method and path of those that answer both.
    """
    made = copy.deepcopy(tenants)
    schemas = made["components"]["schemas"]
    made["components"]["schemas"] = {**former["components"]["schemas"], **schemas}
    for method, path in routes:
        answers = made["paths"][path][method.lower()]["responses"]
        for status, legacy in former["paths"][path][method.lower()]["responses"].items():
            answers[status] = _either(answers.get(status), legacy)
    return made


def _either(tenants: dict[str, Any] | None, legacy: dict[str, Any]) -> dict[str, Any]:
    if tenants is None or tenants == legacy:
        return legacy
    shapes = [each["content"][JSON]["schema"] for each in (tenants, legacy)]
    return {**tenants, "content": {JSON: {"schema": {"anyOf": shapes}}}}
