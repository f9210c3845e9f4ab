"""What an app is, whatever its version: ``apps/<app>/app.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PrivateAttr, model_validator

from changeover.release.figures import Declared, MinimumVersion, Name, UrlPath, written

# that of Debian 12, which hosts are provisioned on
DEBIAN_PYTHON = "3.11"

# A host has files of app X that end so: app X-maintenance would write over X's own.
ENDINGS = ("-maintenance", "-canary", "-directories")
# Directories below /run, /opt and /var/lib/changeover that are the platform's own.
TAKEN = {
    "due",
    "haproxy",
    "incoming",
    "lock",
    "log",
    "nginx",
    "postgresql",
    "redis",
    "sshd",
    "systemd",
}


def _free(name: str) -> str:
    ending = next((each for each in ENDINGS if name.endswith(each)), None)
    if ending:
        of = name.removesuffix(ending)
        raise ValueError(f"{name} is what a host calls files of an app {of}: another ending")
    if name in TAKEN or name.partition("-")[0] == "changeover":
        raise ValueError(f"{name} is a directory of the hosts' own: another name")
    return name


AppName = Annotated[Name, AfterValidator(_free)]
"""The name of an app: it is part of paths and units on hosts."""

Identifier = Annotated[
    str, written(r"[a-z_][a-z0-9_]{0,62}", "an SQL name of lower-case letters, digits and _")
]


class Runtime(Declared):
    """What the app's processes run on: the kind, and the distribution's packages for it.

    ``version`` is Python's, since what a bundle brings is made for one; it has its package by itself.
    """

    kind: Literal["node", "python"]
    version: MinimumVersion | None = None
    packages: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _of_the_distribution(self) -> Runtime:
        if self.kind == "node" and self.version is not None:
            raise ValueError("version: node's is asked for by a release, as requires.minimum.node")
        if self.kind == "python" and self.version != DEBIAN_PYTHON:
            said = "it is missing" if self.version is None else f"not {self.version}"
            raise ValueError(f'version: Debian 12 has Python "{DEBIAN_PYTHON}", {said}')
        return self


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

    app: AppName
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
