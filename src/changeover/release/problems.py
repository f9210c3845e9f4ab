"""Say what is wrong with a file of declarations: one line a mistake, with its dotted path."""

from __future__ import annotations

import json
import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic

from changeover.document import dotted, shown, suggestion
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.document import Document, KeyPath

Model = TypeVar("Model", bound=pydantic.BaseModel)


class DeclarationInvalid(InvalidInput):
    """A file of an app or a release says something that cannot be.

    Args:
        problems: One line a mistake: ``requires.minimum.nod: unknown key, did you mean node?``
    """

    def __init__(
        self, message: str, *, hint: str, cause: str | None = None, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint, cause=cause)
        self.problems = problems


def validate(model: type[Model], document: Document, context: dict[str, Any]) -> Model:
    """Read a document into a model.

    Raises:
        DeclarationInvalid: It has mistakes; every one is named.
    """
    # JSON, since YAML's lists are to become tuples although nothing else is converted
    text = json.dumps(document.data, default=str)
    try:
        return model.model_validate_json(text, context=context)
    except pydantic.ValidationError as error:
        found = list(_problems(error, model, ()))
    raise invalid(document, found)


def invalid(document: Document, found: list[tuple[KeyPath, str]]) -> DeclarationInvalid:
    """Return the error for mistakes found in a document."""
    problems = tuple(f"{dotted(keys)}: {said}" if keys else said for keys, said in found)
    places = [document.place(keys) for keys, _ in found]
    if len(problems) == 1:
        return DeclarationInvalid(
            f"{places[0]}: {problems[0]}", hint=f"correct {places[0]}", problems=problems
        )
    lines = "\n".join(f"{place}: {said}" for place, said in zip(places, problems, strict=True))
    return DeclarationInvalid(
        f"{shown(document.path)} has {len(problems)} mistakes",
        hint=f"correct {shown(document.path)}",
        cause=lines,
        problems=problems,
    )


def _problems(
    error: pydantic.ValidationError, model: object, above: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    for each in error.errors():
        keys: KeyPath = (*above, *each["loc"])
        inner = each.get("ctx", {}).get("error")
        if isinstance(inner, pydantic.ValidationError):
            yield from _problems(inner, _model_named(inner.title), keys)
        elif each["type"] == "extra_forbidden":
            known = _known_keys(model, each["loc"][:-1])
            yield keys, f"unknown key{suggestion(str(each['loc'][-1]), known)}"
        elif each["type"] == "missing":
            yield keys, "missing"
        else:
            yield keys, _sentence(each["type"], each["msg"], each.get("input"))


def _sentence(kind: str, message: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return "must be text: put it in quotes"
    said = message.removeprefix("Value error, ").replace("Input should", "must")
    said = said.replace("String should", "must").replace("must be a valid string", "must be text")
    if kind == "string_pattern_mismatch":
        said = "is not written as it must be"
    if isinstance(given, str | int | float) and kind != "value_error":
        said = f"{said}, and it is {given!r}"
    return said[:1].lower() + said[1:]


def _model_named(title: str) -> object:
    from changeover import checks  # noqa: PLC0415 - only a mistake in a smoke check needs it
    from changeover.checks import records  # noqa: PLC0415

    return getattr(checks, title, None) or getattr(records, title, None)


def _known_keys(model: object, keys: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the model at this path knows; none where it cannot be told."""
    current = model
    for key in keys:
        current = _below(current, key)
    found = _model_in(current)
    if found is None:
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _below(annotation: object, key: str | int) -> object:
    """Return the annotation of what stands at this key."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is dict:
        return arguments[1]
    if origin in (tuple, list):
        return arguments[0]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        fields = annotation.model_fields
        named = [field for name, field in fields.items() if key in (name, field.alias)]
        return named[0].annotation if named else None
    found = (_below(argument, key) for argument in arguments)
    return next((each for each in found if each is not None), None)


def _model_in(annotation: object) -> type[pydantic.BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, pydantic.BaseModel) else None
    for argument in typing.get_args(annotation):
        if found := _model_in(argument):
            return found
    return None
