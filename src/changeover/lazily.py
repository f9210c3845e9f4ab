"""What a package gives, loaded where it is asked for first: a verb waits for what it uses."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def names(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Args:
        package: The package.
        homes: What each of its modules gives, by the module's name within the package. Nothing may
            be called as a module of the package is, since that name is the module's once it is there.
    """
    where = {name: home for home, given in homes.items() for name in given}

    def find(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{where[name]}"), name)

    return find
