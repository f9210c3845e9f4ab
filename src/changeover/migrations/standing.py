"""What stands in a schema once migrations ran, as far as their text tells. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from changeover.migrations.records import Relation

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "table",
    "index",
    "column",
    "constraint",
    "trigger",
    "policy",
    "type",
    "enum value",
    "function",
    "schema",
    "extension",
]
PARTED: frozenset[Kind] = frozenset({"table", "type"})
# They share their names, and ALTER TABLE renames an index, too.
RELATIONS: frozenset[Kind] = frozenset({"table", "index"})
# Nobody looks these up along a search path.
PLACELESS: frozenset[Kind] = frozenset({"schema", "extension"})
# PostgreSQL takes these along when a column goes that they use.
ON_COLUMNS: frozenset[Kind] = frozenset({"index", "constraint", "trigger", "policy"})
Key = tuple[Kind, str, str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Something that a migration made.

    Args:
        kind: What it is; ``table`` stands for all that is named like one, such as a view.
        name: Its name; that of its table or type when it is a part of one.
        part: Its name within that table or type; empty for what is no part.
        table: The table of an index.
        migration: Id of the migration that made it, or gave it this name.
        certain: False when a later statement may have taken it away without naming it.
    """

    kind: Kind
    name: Relation
    part: str = ""
    table: Relation | None = None
    migration: str
    certain: bool = True

    @property
    def sentence(self) -> str:
        """Return what it is called, such as ``column name of users``."""
        if self.part:
            return f"{self.kind} {self.part} of {self.name.dotted}"
        return f"{self.kind} {self.name.dotted}"


class Standing:
    """What stands so far, while statements are followed in their order."""

    def __init__(self) -> None:
        self._migration = ""
        self._moved = False
        self._made: dict[Key, Made] = {}

    @property
    def made(self) -> tuple[Made, ...]:
        """Return what stands, in the order it was made."""
        return tuple(self._made.values())

    def begin(self, migration: str) -> None:
        """Say whose statements come now, by its id."""
        self._migration = migration
        self._moved = False

    def look_elsewhere(self) -> None:
        """Say that the migration's names are looked up elsewhere than later sessions do."""
        self._moved = True

    def add(
        self, kind: Kind, name: Relation, part: str = "", *, table: Relation | None = None
    ) -> None:
        """Note what a statement makes; made again (``IF NOT EXISTS``) it stays the first one's."""
        made = Made(
            kind=kind,
            name=name,
            part=part,
            table=table,
            migration=self._migration,
            certain=bool(name.schema) or not self._moved or kind in PLACELESS,
        )
        self._made.setdefault(_key(made), made)

    def drop(self, kind: Kind, name: Relation, part: str = "") -> None:
        """Forget what a statement takes away, with all that is part of it."""
        self._replace(
            made
            for made in self.made
            if not _is(made, kind, name, part)
            and not (kind in PARTED and not part and _belongs(made, name))
        )

    def rename(self, kind: Kind, name: Relation, to: Relation) -> None:
        """Give a relation, type or function another name or schema, and its parts with it."""
        self._replace(self._renamed(made, kind, name, to) for made in self.made)

    def rename_part(self, kind: Kind, name: Relation, part: str, to: str) -> None:
        """Give a part of a table or type another name."""
        self._replace(
            dataclasses.replace(made, part=to, migration=self._migration)
            if _is(made, kind, name, part)
            else made
            for made in self.made
        )

    def doubt_all(self) -> None:
        """Be certain of nothing any more: what comes now does not say what it takes away."""
        self._replace(dataclasses.replace(made, certain=False) for made in self.made)

    def doubt_on(self, table: Relation) -> None:
        """Be certain no longer of what a column of ``table`` takes along."""
        self._replace(
            dataclasses.replace(made, certain=False)
            if made.kind in ON_COLUMNS and _same(made.table or made.name, table)
            else made
            for made in self.made
        )

    def _replace(self, made: Iterable[Made]) -> None:
        self._made = {_key(each): each for each in made}

    def _renamed(self, made: Made, kind: Kind, name: Relation, to: Relation) -> Made:
        parted = kind in PARTED
        if _is(made, kind, name, "") or (parted and made.part and _same(made.name, name)):
            return dataclasses.replace(made, name=to, migration=self._migration)
        if parted and made.table is not None and _same(made.table, name):
            moved = Relation(name=made.name.name, schema=to.schema)
            return dataclasses.replace(made, name=moved, table=to)
        return made


def _key(made: Made) -> Key:
    # `public.users` and `users` are the same table unless somebody moved the search path.
    return made.kind, made.name.schema or "public", made.name.name, made.part


def _same(one: Relation, other: Relation) -> bool:
    return one.name == other.name and (one.schema or "public") == (other.schema or "public")


def _is(made: Made, kind: Kind, name: Relation, part: str) -> bool:
    kinds = RELATIONS if kind == "table" else {kind}
    return made.kind in kinds and made.part == part and _same(made.name, name)


def _belongs(made: Made, name: Relation) -> bool:
    return (bool(made.part) and _same(made.name, name)) or (
        made.table is not None and _same(made.table, name)
    )
