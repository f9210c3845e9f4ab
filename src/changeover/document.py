"""Read a YAML document strictly: no duplicate keys, and every key's line is remembered."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KeyPath = tuple[str | int, ...]
TEXT_TAG = "tag:yaml.org,2002:str"


class DocumentInvalid(InvalidInput):
    """A file is not the YAML that it should be."""


class DocumentMissing(InvalidInput):
    """A file that is needed is not there, or may not be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML mapping, with the line of each of its keys.

    Args:
        path: Where it was read from.
        data: The mapping itself.
        lines: Line (from 1) of every key and list element, by its path.
    """

    path: Path
    data: dict[str, Any] = field(repr=False)
    lines: dict[KeyPath, int] = field(repr=False)

    def place(self, keys: KeyPath) -> str:
        """Return ``file:line`` of a key, or of its closest parent that stands in the file."""
        for end in range(len(keys), 0, -1):
            if line := self.lines.get(tuple(keys[:end])):
                return f"{shown(self.path)}:{line}"
        return shown(self.path)

    def texts(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield every text value with the path of its key."""
        yield from _texts((), self.data)


def shown(path: Path) -> str:
    """Return a path as a person would type it here: relative where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def dotted(keys: Iterable[str | int]) -> str:
    """Return a key path as it is written in messages: ``requires.minimum.node``."""
    return ".".join(str(key) for key in keys)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean X?`` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


def read(path: Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        DocumentMissing: It is not there or not readable.
        DocumentInvalid: It is not YAML, not a mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentMissing(
            f"{shown(path)} cannot be read: {error.strerror}",
            hint=f"create {shown(path)} or correct the path",
        ) from error
    except UnicodeDecodeError as error:
        raise DocumentInvalid(
            f"{shown(path)} is not UTF-8 text", hint=f"save {shown(path)} as UTF-8"
        ) from error
    return parse(text, path)


def parse(text: str, path: Path, *, secret: bool = False) -> Document:
    """Parse YAML text that came from ``path``; ``secret`` keeps its text out of errors.

    Raises:
        DocumentInvalid: It is not YAML, not a mapping, or has a key twice.
    """
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        if node is not None:
            _walk(node, (), lines, path, ())
        data = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _broken(path, error, secret=secret) from None
    except (yaml.YAMLError, ValueError) as error:
        cause = None if secret else str(error)
        raise DocumentInvalid(
            f"{shown(path)} is not YAML", hint=f"correct {shown(path)}", cause=cause
        ) from None
    finally:
        loader.dispose()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentInvalid(
            f"{shown(path)} must hold a mapping of names to values", hint=f"correct {shown(path)}"
        )
    return Document(path, data, lines)


def _broken(path: Path, error: yaml.MarkedYAMLError, *, secret: bool) -> DocumentInvalid:
    mark = error.problem_mark or error.context_mark
    place = f"{shown(path)}:{mark.line + 1}" if mark else shown(path)
    problem = error.problem or "not YAML"
    # a value may stand in the problem text of a tag or a scalar
    said = "not YAML" if secret else problem
    if "constructor for the tag" in problem:
        said = "a YAML tag stands here; values are plain, and a vault file is encrypted as a whole"
    return DocumentInvalid(f"{place}: {said}", hint=f"correct {place}")


def _walk(
    node: yaml.Node, keys: KeyPath, lines: dict[KeyPath, int], path: Path, parents: tuple[int, ...]
) -> None:
    if id(node) in parents:
        place = f"{shown(path)}:{node.start_mark.line + 1}"
        raise DocumentInvalid(f"{place}: the anchor contains itself", hint=f"correct {place}")
    parents = (*parents, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, element in enumerate(node.value):
            lines[*keys, index] = element.start_mark.line + 1
            _walk(element, (*keys, index), lines, path, parents)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != TEXT_TAG:
            place = f"{shown(path)}:{line}"
            raise DocumentInvalid(
                f"{place}: a key is text; merges (<<), numbers and yes/no are not",
                hint=f"write the key out, or in quotes, in {place}",
            )
        name = key.value
        if name in seen:
            raise DocumentInvalid(
                f"{shown(path)}:{line}: {dotted((*keys, name))} is set twice, first in line {seen[name]}",
                hint=f"remove one of the two from {shown(path)}",
            )
        seen[name] = line
        lines[*keys, name] = line
        _walk(value, (*keys, name), lines, path, parents)


def _texts(keys: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts((*keys, str(key)), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts((*keys, index), inner)
