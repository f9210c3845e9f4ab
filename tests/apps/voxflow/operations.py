"""Every operation that an app's own document names, asked for with a body that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .system import System


@dataclass(frozen=True)
class Operation:
    """A route and method, and a body and query that its document takes."""

    method: str
    path: str
    query: str
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def at(self, known: Mapping[str, str]) -> str:
        """Return the address with what is known in place of its parameters."""
        path = self.path
        for name, value in known.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, f"nothing is known for {path}"
        return path + self.query


def operations(system: System, known: Mapping[str, Any]) -> list[Operation]:
    """Return what the document of a system names.

    Args:
        system: The app.
        known: Values by the name of a parameter or property; others are made from their schema.
    """
    document = system.ask("GET", "/openapi.json").body
    return list(_operations(document, known))


def _operations(document: dict[str, Any], known: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            asked = [
                f"{each['name']}={_value(document, each['schema'], each['name'], known)}"
                for each in about.get("parameters", [])
                if each["in"] == "query" and each.get("required")
            ]
            content = about.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = None if schema is None else _value(document, schema, "", known)
            query = "?" + "&".join(asked) if asked else ""
            yield Operation(method.upper(), path, query, body)


def _value(
    document: dict[str, Any], schema: dict[str, Any], name: str, known: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - JSON
    if name in known:
        return known[name]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf", "allOf"):
        schema = schema[choice][0] if choice in schema else schema
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {each: _value(document, sub, each, known) for each, sub in properties.items()}
    if kind == "array":
        return [_value(document, schema["items"], name, known)]
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> object:
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    text = "2026-11-01" if schema.get("format") == "date" else "a text of tests"
    plain = {"boolean": True, "integer": 1, "number": 1}
    return plain.get(schema.get("type", ""), text)
