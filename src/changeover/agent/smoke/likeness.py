"""Whether a JSON document has what another one names."""

from __future__ import annotations

import json


def difference(expected: object, found: object, where: str = "") -> str | None:
    """Return where ``found`` lacks what is expected: keys may be more, lists may not."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where or '/'} is no object"
        parts = [
            f"{where}/{key} is missing"
            if key not in found
            else difference(value, found[key], f"{where}/{key}")
            for key, value in expected.items()
        ]
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{where or '/'} is no list of {len(expected)}"
        parts = [
            difference(value, found[index], f"{where}/{index}")
            for index, value in enumerate(expected)
        ]
    else:
        same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
        parts = [] if same else [f"{where or '/'} is not {json.dumps(expected)}"]
    return next((part for part in parts if part), None)
