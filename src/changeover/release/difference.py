"""What changes in the environment variables from one release to another; secrets stay hidden."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from changeover.release.values import Problem, Value, Values, names_of, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.inventory import Environment
    from changeover.release.app import App
    from changeover.release.model import Release

MARKS = {"added": "+", "removed": "-", "renamed": ">", "changed": "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One variable that differs between two releases.

    Args:
        kind: What happens to it.
        name: Its name in the later release; in the earlier one where it is removed.
        before: Its value in the earlier release, fit to be shown.
        after: Its value in the later release, fit to be shown.
        old_name: Its name in the earlier release where it is renamed.
        differs: Whether the value is another one; a hidden secret does not show it.
    """

    kind: Literal["added", "removed", "renamed", "changed"]
    name: str
    before: str | None = None
    after: str | None = None
    old_name: str | None = None
    differs: bool = True

    def as_line(self) -> str:
        """Return the change as one line for people."""
        mark = MARKS[self.kind]
        if self.kind == "added":
            return f"{mark} {self.name}={self.after}"
        if self.kind == "removed":
            return f"{mark} {self.name}"
        name = f"{self.old_name} -> {self.name}" if self.kind == "renamed" else self.name
        if not self.differs:
            return f"{mark} {name} (same value)"
        if self.before == self.after:
            return f"{mark} {name}={self.after} (another value)"
        return f"{mark} {name}: {self.before} -> {self.after}"

    def as_json(self) -> dict[str, object]:
        """Return the change as plain JSON."""
        return asdict(self)


def diff(
    app: App,
    before: Release | None,
    after: Release,
    releases: Mapping[str, Release],
    environment: Environment,
) -> tuple[Change, ...]:
    """Return what changes in the variables from one release to another, redacted.

    A value that is missing in the environment is shown as missing, not refused. Without ``before``
    everything is added.
    """
    new = resolve(app, after, releases, environment)
    old = None if before is None else resolve(app, before, releases, environment)
    return tuple(_changes(old, new, releases))


def _changes(
    before: Values | None, after: Values, releases: Mapping[str, Release]
) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    renamed: dict[str, str] = {}
    for name in new:
        if name not in old:
            others = [each for each in names_of(name, releases) if each in old and each not in new]
            renamed |= dict(zip([name], others, strict=False))
    for name, value in new.items():
        if name in renamed:
            yield _change("renamed", name, old[renamed[name]], value, old_name=renamed[name])
        elif name not in old:
            yield Change(kind="added", name=name, after=_shown(value))
        elif _text(old[name]) != _text(value):
            yield _change("changed", name, old[name], value)
    for name in old:
        if name not in new and name not in renamed.values():
            yield Change(kind="removed", name=name, before=_shown(old[name]))


def _change(
    kind: Literal["renamed", "changed"],
    name: str,
    before: Value | Problem,
    after: Value | Problem,
    *,
    old_name: str | None = None,
) -> Change:
    return Change(
        kind=kind,
        name=name,
        before=_shown(before),
        after=_shown(after),
        old_name=old_name,
        differs=_text(before) != _text(after),
    )


def _by_name(values: Values | None) -> dict[str, Value | Problem]:
    if values is None:
        return {}
    problems = {each.name: each for each in values.problems if each.kind != "unknown"}
    return problems | {entry.name: entry for entry in values.entries}


def _text(value: Value | Problem) -> str | None:
    return value.text if isinstance(value, Value) else None


def _shown(value: Value | Problem) -> str:
    return str(value.content) if isinstance(value, Value) else f"({value.kind})"
