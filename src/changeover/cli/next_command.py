"""Commands that are named next: where an environment has several apps, each says which one it is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "changeover "
# They are about hosts, whatever apps these have.
OF_NO_APP = frozenset({"provision", "drift", "lab"})


def naming(environment: str, app: str) -> Callable[[str], str]:
    """Return what adds ``--app`` to the commands in a text that name this environment and no app.

    Args:
        environment: Its name, or its directory, as commands name it.
        app: The app.
    """
    place = re.compile(rf"--env {re.escape(environment)}(?![\w./-])")

    def add(text: str) -> str:
        def named(found: re.Match[str]) -> str:
            begun = text[: found.start()].rpartition(PROGRAM)[2]
            behind = re.split(r"[,;\n]|changeover ", text[found.end() :], maxsplit=1)[0]
            verb = begun.partition(" ")[0]
            known = verb in OF_NO_APP or "--app" in f"{begun} {behind}"
            return found[0] if known else f"{found[0]} --app {app}"

        return place.sub(named, text) if "--env " in text else text

    return add
