"""What an app is, whatever its version: ``apps/<app>/app.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import PrivateAttr

from changeover.release.figures import Declared, Name, UrlPath, written

Identifier = Annotated[
    str, written(r"[a-z_][a-z0-9_]{0,62}", "an SQL name of lower-case letters, digits and _")
]


class Runtime(Declared):
    """What the app's processes run on: the kind, and the distribution's packages for it."""

    kind: Literal["node", "python"]
    packages: tuple[str, ...] = ()


class DatabaseUse(Declared):
    """The app's PostgreSQL database: ``owner`` migrates it, ``role`` is the app itself.

    With ``migrates_itself`` the owner role may come from the app hosts, too.
    """

    name: Identifier
    owner: Identifier
    role: Identifier
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] | None = None
    migrates_itself: bool = False


class CacheUse(Declared):
    """The app's Redis user."""

    user: Annotated[str, written(r"[A-Za-z0-9_-]+", "a name of letters, digits, _ and -")]


class HealthProbe(Declared):
    """A request that answers 200 when the process is well, on one of its sockets."""

    socket: Name
    path: UrlPath


class Live(Declared):
    """How any version of the app is asked whether it lives."""

    health: HealthProbe


class App(Declared):
    """One app."""

    app: Name
    summary: str = ""
    runtime: Runtime
    user: Name
    database: DatabaseUse | None = None
    cache: CacheUse | None = None
    live: Live

    _directory: Path = PrivateAttr(default=Path())

    @property
    def directory(self) -> Path:
        """The app's directory: ``apps/<app>``."""
        return self._directory

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Remember where the file was read from."""
        if isinstance(context, dict):
            self._directory = context["directory"]
