"""Work of the app itself that an operator runs, or a release on its way: a program with typed parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from changeover.document import suggestion
from changeover.release.figures import Declared, Name, PrintableText
from changeover.release.migrator import Words  # noqa: TC001 - pydantic builds models from it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["string", "integer", "boolean"]
Point = Literal["before_switch", "after_confirm"]
Scalar = str | bool | int
COMMANDS = ("command", "dry_run", "undo")
# A host takes no longer ones.
LONGEST = 4000
# All of an argument, or what follows the = of an option.
PLACEHOLDER = re.compile(
    r"(?P<option>-{1,2}[A-Za-z0-9][A-Za-z0-9-]*=)?\{(?P<name>[a-z][a-z0-9-]*)\}"
)
NAMED = re.compile(r"\{([a-z][a-z0-9-]*)\}")
_KINDS = {"string": "text", "integer": "a whole number", "boolean": "true or false"}


class Parameter(Declared):
    """One value that a task is given: its type and its bounds.

    Without ``required`` or ``default`` it may be left out, and so is the argument that it stands in.
    """

    type: Kind = "string"
    summary: str = ""
    required: bool = False
    default: Scalar | None = None
    minimum: int | None = None
    maximum: int | None = None
    matches: str | None = None

    @property
    def optional(self) -> bool:
        """Whether it may have no value at all."""
        return not self.required and self.default is None

    @model_validator(mode="after")
    def _consistent(self) -> Parameter:
        if self.required and self.default is not None:
            raise ValueError("with a default it is never missing: drop required or default")
        if (self.minimum, self.maximum) != (None, None) and self.type != "integer":
            raise ValueError(f"minimum and maximum are for integers, and this is a {self.type}")
        if self.matches is not None:
            if self.type != "string":
                raise ValueError(f"matches is for text, and this is a {self.type}")
            try:
                re.compile(self.matches)
            except re.error as error:
                raise ValueError(f"matches is no regular expression: {error}") from None
        if self.default is not None and (problem := self.text_of(self.default)[1]):
            raise ValueError(f"default {self.default!r} {problem}")
        return self

    def text_of(self, value: object) -> tuple[str, str | None]:
        """Return a value as the program gets it, and what is wrong with it or ``None``.

        Text that was typed is taken for every type; what YAML read has to be of the type.
        """
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not self._fits(value, text):
            return "", f"is not {_KINDS[self.type]}"
        if not text.isprintable() or len(text) > LONGEST:
            return "", f"is not one printable line of at most {LONGEST} characters"
        if self.minimum is not None and int(text) < self.minimum:
            return "", f"is less than {self.minimum}"
        if self.maximum is not None and int(text) > self.maximum:
            return "", f"is more than {self.maximum}"
        if self.matches is not None and re.fullmatch(self.matches, text) is None:
            return "", f"does not match {self.matches}"
        return text, None

    def _fits(self, value: object, text: str) -> bool:
        match self.type:
            case "string":
                return isinstance(value, str)
            case "boolean":
                return text in {"true", "false"}
            case "integer":
                whole = re.fullmatch(r"-?[0-9]{1,18}", text) is not None
                return whole and not isinstance(value, bool)


class Task(Declared):
    """Work of the app itself, done by a program of the bundle.

    Args:
        summary: What it does.
        command: Does it; ends with 0 when it is done, with 75 where it stopped half way and can be
            gone on with, with anything else when it failed.
        dry_run: Tells what that would do, and writes nothing.
        undo: Takes back what it did.
        stays: What it did stays on a way back: the version before runs with it.
        parameters: The values that its commands are given, as whole arguments.
        deadline_seconds: How long each of them may take before it is ended.
    """

    summary: PrintableText
    command: Words
    dry_run: Words | None = None
    undo: Words | None = None
    stays: bool = False
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    deadline_seconds: Annotated[int, Field(ge=1, le=86400)] = 3600

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.stays == (self.undo is not None):
            yield (
                "what a way back means for what it did has to be said, once: undo, the command that"
                " takes it back, or stays: true, where the version before runs with it"
            )
        used: set[str] = set()
        for what in COMMANDS:
            if NAMED.search("".join(self.words(what)[:1])):
                yield f"{what}: its first word is the program, and no value"
            for word in self.words(what):
                for name in NAMED.findall(word):
                    used.add(name)
                    yield from self._placeholder_problems(what, word, name)
        for name in self.parameters:
            if name not in used:
                yield f"parameters.{name}: no command has {{{name}}} in it"

    def _placeholder_problems(self, what: str, word: str, name: str) -> Iterator[str]:
        found = PLACEHOLDER.fullmatch(word)
        if name not in self.parameters:
            yield f"{what}: {word} names no parameter{suggestion(name, self.parameters)}"
        elif found is None:
            yield (
                f"{what}: {word}: a value is a whole argument, {{{name}}}, or all of an option's,"
                f" --{name}={{{name}}}"
            )
        elif self.parameters[name].optional and not found["option"]:
            yield (
                f"{what}: {word} would move the arguments behind it where {name} is left out:"
                f" write --{name}={{{name}}}, or give it a default"
            )

    def words(self, what: str) -> tuple[str, ...]:
        """Return one of its commands as it is declared; empty where it has none."""
        found: tuple[str, ...] | None = getattr(self, what)
        return found or ()

    def values_of(self, given: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
        """Return the values as the program gets them, defaults among them, and what is wrong."""
        problems = [
            f"{name} is not known{suggestion(name, self.parameters)}"
            for name in given
            if name not in self.parameters
        ]
        texts: dict[str, str] = {}
        for name, parameter in self.parameters.items():
            value = given.get(name, parameter.default)
            if value is None:
                problems += [f"{name} is required"] if parameter.required else []
                continue
            text, problem = parameter.text_of(value)
            if problem is None and text.startswith("-") and self._bare(name):
                problem = "begins with -, and would be taken for an option"
            if problem is not None:
                problems.append(f"{name} {problem}")
            texts[name] = text
        return texts, problems

    def _bare(self, name: str) -> bool:
        return any(f"{{{name}}}" in self.words(what) for what in COMMANDS)

    def arguments(self, what: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return one of its commands with the values in it, as a person reads it."""
        words = []
        for word in self.words(what):
            found = PLACEHOLDER.fullmatch(word)
            if found is None:
                words.append(word)
            elif found["name"] in values:
                words.append(f"{found['option'] or ''}{values[found['name']]}")
        return tuple(words)


class TaskRun(Declared):
    """A task that is part of a release, with the values it is run with.

    Args:
        id: What the plan and the ledger call it; the task's name unless given.
        when: ``before_switch``: the new version is up and well, and has no users yet.
            ``after_confirm``: it has all of them.
    """

    task: Name
    id: Name | None = None
    when: Point
    values: dict[Name, Scalar] = Field(default_factory=dict, alias="with")

    @property
    def name(self) -> str:
        """What the plan and the ledger call it."""
        return self.id or self.task
