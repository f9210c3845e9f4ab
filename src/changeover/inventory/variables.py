"""Typed reading of an environment's variables, with errors that name the file to edit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.errors import InvalidInput
from changeover.inventory.root import located, near
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET_VARIABLES = frozenset(
    {
        "changeover_secrets",
        "changeover_database_passwords",
        "changeover_cache_passwords",
        "changeover_repository",
    }
)


class VariableMissing(InvalidInput):
    """A variable that is needed is not set."""


class VariableInvalid(InvalidInput):
    """A variable's value is not what it must be."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one environment.

    Args:
        environment: The environment's name.
        directory: Its directory.
        root: The project root.
        values: The variables by name.
        files: The file that each was last set in.
    """

    environment: str
    directory: Path
    root: Path
    values: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, Path] = field(repr=False)

    def file_of(self, variable: str) -> Path:
        """Return the file to edit for a variable, relative to the root where it lies inside."""
        usual = "vault.yml" if variable in SECRET_VARIABLES else "main.yml"
        default = self.directory / "group_vars" / "all" / usual
        return near(self.files.get(variable, default), self.root)

    def editing(self, variable: str) -> str:
        """Return the command or the words that open the file to edit for a variable."""
        file = self.file_of(variable)
        if not file.name.startswith("vault"):
            return f"edit {file}"
        return f"ansible-vault {'edit' if (self.root / file).exists() else 'create'} {file}"

    def secret(self, dotted: str, value: object) -> Secret:
        """Return a vault value, refusing what is absent or not text."""
        variable = dotted.partition(".")[0]
        if isinstance(value, Secret):
            return value
        if value is None:
            raise self.missing(variable, dotted)
        raise self.invalid(variable, f"{dotted} must be text: put it in quotes")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text variable."""
        value = self.values.get(name, default)
        if value is None:
            raise self.missing(name, name)
        if not isinstance(value, str):
            raise self.invalid(name, "it must be text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a variable that is a list of texts."""
        value = self.values.get(name)
        if value is None:
            raise self.missing(name, name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.invalid(name, "it must be a list of texts")
        return tuple(value)

    def mapping(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a variable that is a mapping."""
        value = self.values.get(name, default)
        if value is None:
            raise self.missing(name, name)
        if not isinstance(value, dict):
            raise self.invalid(name, "it must be a mapping")
        return value

    def path(self, name: str) -> Path:
        """Return a variable that is a path, made absolute."""
        return self.as_path(self.text(name))

    def as_path(self, text: object) -> Path:
        """Return a path, made absolute."""
        return located(str(text), self.directory, self.root)

    def missing(self, variable: str, dotted: str) -> VariableMissing:
        """Return the error for a value that is not set."""
        edit = self.editing(variable)
        return VariableMissing(
            f"{dotted} is not set in {self.environment}", hint=f"{edit} and set {dotted}"
        )

    def invalid(self, variable: str, problem: str) -> VariableInvalid:
        """Return the error for a value that cannot be used."""
        file = self.file_of(variable)
        return VariableInvalid(f"{file}: {variable}: {problem}", hint=f"correct {file}")


def secrets_in(value: object) -> Iterator[Secret]:
    """Yield every secret inside a value."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from secrets_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_in(inner)
