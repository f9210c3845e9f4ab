"""Read hosts.yml: groups, their children, and the hosts in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.document import DocumentInvalid, suggestion

if TYPE_CHECKING:
    from changeover.document import Document, KeyPath

GROUP_KEYS = ("hosts", "vars", "children")


@dataclass(slots=True)
class Group:
    """One group of hosts.yml.

    Args:
        name: Its name.
        depth: How many groups lie above it; ``all`` has 0.
        hosts: The names of the hosts that stand directly in it.
        variables: What its ``vars`` say.
        parents: The names of the groups above it.
    """

    name: str
    depth: int = 0
    hosts: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Tree:
    """All groups, and what hosts.yml says of each host.

    Args:
        groups: Every group by its name.
        hosts: Every host's own variables by its name, in the order of the file.
    """

    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def groups_of(self, host: str) -> tuple[str, ...]:
        """Return the groups a host is in, widest first: by depth, then by name."""
        names = {"all"}
        waiting = [group.name for group in self.groups.values() if host in group.hosts]
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting.extend(self.groups[name].parents)
        return tuple(sorted(names, key=lambda name: (self.groups[name].depth, name)))


def read_tree(document: Document) -> Tree:
    """Return the groups and hosts of a hosts.yml.

    Raises:
        DocumentInvalid: Something in it is not a group, a host, or variables.
    """
    tree = Tree(groups={"all": Group("all")})
    for name, body in document.data.items():
        parent = None if name == "all" else "all"
        _read_group(document, tree, (name,), body, parent, depth=0 if parent is None else 1)
    return tree


def _read_group(
    document: Document,
    tree: Tree,
    keys: KeyPath,
    body: object,
    parent: str | None,
    *,
    depth: int,
) -> None:
    name = str(keys[-1])
    group = tree.groups.setdefault(name, Group(name))
    group.depth = max(group.depth, depth)
    if parent is not None:
        group.parents.add(parent)
    content = _mapping(document, keys, body)
    for key in content:
        if key not in GROUP_KEYS:
            raise _wrong(document, (*keys, key), f"unknown key{suggestion(key, GROUP_KEYS)}")
    group.variables |= _mapping(document, (*keys, "vars"), content.get("vars"))
    for host, variables in _mapping(document, (*keys, "hosts"), content.get("hosts")).items():
        if "[" in host:
            raise _wrong(document, (*keys, "hosts", host), "ranges are not read; name each host")
        group.hosts.append(host)
        known = tree.hosts.setdefault(host, {})
        known |= _mapping(document, (*keys, "hosts", host), variables)
    for child, inner in _mapping(document, (*keys, "children"), content.get("children")).items():
        _read_group(document, tree, (*keys, "children", child), inner, name, depth=depth + 1)


def _mapping(document: Document, keys: KeyPath, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _wrong(document, keys, "must be a mapping")


def _wrong(document: Document, keys: KeyPath, problem: str) -> DocumentInvalid:
    place = document.place(keys)
    name = ".".join(str(key) for key in keys)
    return DocumentInvalid(f"{place}: {name}: {problem}", hint=f"correct {place}")
