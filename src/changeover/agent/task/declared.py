"""The tasks of a signed bundle: their commands, and the values that these may be given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = ("command", "dry_run", "undo")
LONGEST = 4000
PLACEHOLDER = re.compile(
    r"(?P<option>-{1,2}[A-Za-z0-9][A-Za-z0-9-]*=)?\{(?P<name>[a-z][a-z0-9-]*)\}"
)
WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a value has to be."""

    kind: str
    required: bool
    minimum: int | None
    maximum: int | None
    matches: str | None

    def holds(self, value: object) -> bool:
        """Tell whether a value is what it has to be."""
        if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST:
            return False
        if self.kind == "boolean":
            return value in {"true", "false"}
        if self.kind == "integer":
            if WHOLE.fullmatch(value) is None:
                return False
            number = int(value)
            least = number if self.minimum is None else self.minimum
            most = number if self.maximum is None else self.maximum
            return least <= number <= most
        return self.matches is None or re.fullmatch(self.matches, value) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task.

    Args:
        words: Its commands, by what they are for.
        rules: What each of its values has to be.
        deadline_seconds: How long each command may take.
    """

    words: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, Rule]
    deadline_seconds: float

    def arguments(self, what: str, values: Mapping[str, object]) -> list[str]:
        """Return a command with these values in it, each a whole argument.

        Raises:
            ActionError: ``bad-value``, naming those that may not be, are missing or not known.
        """
        wrong = [name for name in values if name not in self.rules]
        for name, rule in self.rules.items():
            if not (rule.holds(values[name]) if name in values else not rule.required):
                wrong.append(name)
        found = [(word, PLACEHOLDER.fullmatch(word)) for word in self.words[what]]
        for _, match in found:
            # What stands alone and begins like an option would be taken for one.
            if match and not match["option"] and str(values.get(match["name"], "")).startswith("-"):
                wrong.append(match["name"])
        if wrong:
            listed = ", ".join(sorted({*wrong}))
            raise ActionError("bad-value", f"not what the bundle lets it be: {listed}")
        words = []
        for word, match in found:
            if match is None:
                words.append(word)
            elif match["name"] in values:
                words.append(f"{match['option'] or ''}{values[match['name']]}")
        return words


def read(entries: Mapping[str, Any]) -> dict[str, Task]:
    """Read the tasks of a manifest.

    Raises:
        ActionError: ``bundle-invalid``; a name or a word cannot be.
    """
    return {names.checked("task", names.TASK, name): _task(entries[name]) for name in entries}


def _task(entry: Mapping[str, Any]) -> Task:
    words = {what: tuple(entry[what]) for what in COMMANDS if entry.get(what)}
    for command in words.values():
        if not all(isinstance(word, str) and word.isprintable() for word in command):
            raise ActionError("bundle-invalid", "a word of a task is no printable text")
    if "command" not in words:
        raise ActionError("bundle-invalid", "a task has no command")
    return Task(
        words=words,
        rules={name: _rule(each) for name, each in entry["parameters"].items()},
        deadline_seconds=float(entry["deadline_seconds"]),
    )


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        kind=str(entry["type"]),
        required=bool(entry["required"]),
        minimum=entry["minimum"],
        maximum=entry["maximum"],
        matches=entry["matches"],
    )
