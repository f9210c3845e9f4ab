"""What one version of an app is and needs: ``releases/<version>/release.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

# pydantic needs these at run time, to build the models
from changeover.checks import Check, Checks  # noqa: TC001
from changeover.document import suggestion
from changeover.release.app import HealthProbe  # noqa: TC001
from changeover.release.canary import CanaryDeclaration  # noqa: TC001 - pydantic builds models from it
from changeover.release.figures import (
    Declared,
    Duration,
    MinimumVersion,
    Name,
    PrintableText,
    RelativePath,
    Size,
    UrlPath,
    Version,
    written,
)
from changeover.release.migrator import Migrator  # noqa: TC001 - pydantic builds models from it
from changeover.release.pack import Pack  # noqa: TC001 - pydantic builds models from it
from changeover.release.precondition import Precondition  # noqa: TC001 - pydantic builds models from it
from changeover.release.tasks import Task, TaskRun  # noqa: TC001 - pydantic builds models from it
from changeover.release.variables import EnvironmentDeclaration

if TYPE_CHECKING:
    from collections.abc import Iterator

StepKind = Literal[
    "preflight",
    "lock",
    "backup",
    "place",
    "expand",
    "backfill",
    "migrator",
    "start",
    "health",
    "preview",
    "canary",
    "switch",
    "smoke",
    "confirm",
    "drain",
    "task",
    "contract",
    "retire",
    "rollback",
]
# the file that pins what is built, and what has to be listed for it
LOCKS = {
    "npm": ("package-lock.json", "package.json and package-lock.json"),
    "python": ("requirements.lock", "requirements.lock"),
}
SectionId = Annotated[str, written(r"[a-z0-9][a-z0-9-]*", "an id such as oauth-callbacks")]


class Requirement(Declared):
    """Versions and amounts to have at least."""

    node: MinimumVersion | None = None
    npm: MinimumVersion | None = None
    python: MinimumVersion | None = None
    redis: MinimumVersion | None = None
    postgresql: MinimumVersion | None = None
    nginx: MinimumVersion | None = None
    memory: Size | None = None
    disk: Size | None = None
    certificate: bool = False
    balancer: bool = False
    cdn: bool = False


class Requirements(Declared):
    """What a host must have (red below it), and what it should have (a warning below it)."""

    minimum: Requirement = Requirement()
    recommended: Requirement = Requirement()


class Build(Declared):
    """How dependencies get into the bundle.

    ``npm`` installs what package-lock.json pins, ``python`` the wheels that requirements.lock pins.
    """

    kind: Literal["none", "npm", "python"] = "none"


class Process(Declared):
    """One process: a systemd unit with its unix sockets."""

    command: Annotated[tuple[PrintableText, ...], Field(min_length=1)]
    sockets: tuple[Name, ...] = ()
    health: HealthProbe | None = None
    drain_seconds: Annotated[int, Field(ge=1, le=3600)] = 20
    memory_max: Annotated[str, written(r"\d+[KMGT]", "an amount such as 512M")] | None = None

    @model_validator(mode="after")
    def _own_socket(self) -> Process:
        if self.health is not None and self.health.socket not in self.sockets:
            raise ValueError(f"health: the process has no socket {self.health.socket}")
        return self


class WebSocketProxy(Declared):
    """The path that upgrades to a WebSocket, and how long a silent one may last."""

    path: UrlPath
    socket: Name
    read_timeout: Annotated[int, Field(ge=1)] = 86400


class StaticFiles(Declared):
    """Files that Nginx serves itself; ``directory`` is inside the release's code."""

    path: Annotated[str, written(r"/([^\s;{}\"']*/)?", "a path with a slash at both ends")]
    directory: RelativePath
    max_age: Annotated[int, Field(ge=0)] = 31536000


class Site(Declared):
    """The release's Nginx site; ``maintenance`` is a page of its code that takes the place of the host's own."""

    http: Literal["serve", "redirect"]
    socket: Name
    websocket: WebSocketProxy | None = None
    static: StaticFiles | None = None
    health: tuple[UrlPath, ...] = ()
    security_headers: bool = False
    maintenance: RelativePath | None = None


class ManualCheck(Declared):
    """Something only a person can do elsewhere, and the check that sees whether it was done."""

    id: SectionId
    text: str
    verify: Check | None = None


class Alert(Declared):
    """One alert rule of the release."""

    name: Annotated[str, written(r"[A-Za-z][A-Za-z0-9_]*", "a name such as ErrorRateHigh")]
    expr: str
    duration: Duration = Field(default="0s", alias="for")
    summary: str
    severity: Literal["info", "warning", "critical"] = "warning"


class Release(Declared):
    """One version of an app."""

    version: Version
    summary: str
    strategy: Literal["beside", "maintenance"] = "beside"
    canary: CanaryDeclaration | None = None
    bake_window: Duration = "24h"
    follows: tuple[Version, ...] = ()
    direct: tuple[Version, ...] = ()
    requires: Requirements = Requirements()
    preconditions: tuple[Precondition, ...] = ()
    code: tuple[RelativePath, ...] = ()
    build: Build = Build()
    processes: Annotated[dict[Name, Process], Field(min_length=1)]
    environment: EnvironmentDeclaration = EnvironmentDeclaration()
    nginx: Site | None = None
    migrator: Migrator | None = None
    tasks: dict[Name, Task] = Field(default_factory=dict)
    runs: tuple[TaskRun, ...] = ()
    smoke: Checks = ()
    smoke_packs: tuple[Name, ...] = ()
    manual: tuple[ManualCheck, ...] = ()
    alerts: tuple[Alert, ...] = ()
    guide: dict[StepKind, tuple[SectionId, ...]] = Field(default_factory=dict)

    _directory: Path = PrivateAttr(default=Path())
    _packs: dict[str, Pack] = PrivateAttr(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The release's directory, with ``migrations/``, GUIDE.md, and code of its own."""
        return self._directory

    @property
    def migrations(self) -> Path:
        """The folder of its migrations; it may be absent."""
        return self._directory / "migrations"

    @property
    def migrator_checks(self) -> Path:
        """What must hold of the data once its own command has migrated; it may be absent."""
        return self._directory / "migrator.checks.yml"

    @property
    def smoke_checks(self) -> tuple[Check, ...]:
        """Return the smoke checks: its own, and those of the packs that it names."""
        packed = (check for name in self.smoke_packs for check in self._packs[name].checks)
        return (*self.smoke, *packed)

    @property
    def outside_checks(self) -> tuple[Check, ...]:
        """Return what is checked from outside: the smoke checks, and those behind manual steps."""
        verified = (step.verify for step in self.manual if step.verify is not None)
        return (*self.smoke_checks, *verified)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Remember where the file was read from, and the packs that it names."""
        if isinstance(context, dict):
            self._directory = context["directory"]
            self._packs = context.get("packs", {})

    @model_validator(mode="after")
    def _consistent(self) -> Release:
        if self.canary is not None and self.strategy == "maintenance":
            raise ValueError("canary: strategy maintenance moves everybody at once")
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        sockets = [name for process in self.processes.values() for name in process.sockets]
        for name in sockets:
            if sockets.count(name) > 1:
                yield f"processes: two of them have a socket {name}"
        for old in (*self.follows, *self.direct):
            if old == self.version:
                yield f"follows: {old} cannot follow itself"
        ids = [precondition.id for precondition in self.preconditions]
        for precondition in sorted({each for each in ids if ids.count(each) > 1}):
            yield f"preconditions: two of them are called {precondition}"
        needed = LOCKS.get(self.build.kind)
        if needed is not None and needed[0] not in self.code:
            yield f"code: build {self.build.kind} needs {needed[1]} in it"
        if self.nginx is not None:
            yield from self._site_problems(self.nginx, sockets)
        yield from self._run_problems()

    def _run_problems(self) -> Iterator[str]:
        names = [each.name for each in self.runs]
        for each in self.runs:
            if names.count(each.name) > 1:
                yield f"runs: two of them are {each.name}: give each an id of its own"
            task = self.tasks.get(each.task)
            if task is None:
                yield f"runs: there is no task {each.task}{suggestion(each.task, self.tasks)}"
                continue
            for problem in task.values_of(each.values)[1]:
                yield f"runs: {each.name}: {problem}"
            if each.when == "before_switch" and self.strategy == "maintenance":
                yield (
                    f"runs: {each.name}: before_switch is for a version that is up beside its"
                    " predecessor: with strategy maintenance say after_confirm"
                )

    def _site_problems(self, site: Site, sockets: list[str]) -> Iterator[str]:
        if site.socket not in sockets:
            yield f"nginx.socket: no process has a socket {site.socket}"
        websocket, static = site.websocket, site.static
        if websocket is not None and websocket.socket not in sockets:
            yield f"nginx.websocket.socket: no process has a socket {websocket.socket}"
        inside = {
            "static.directory": None if static is None else static.directory,
            "maintenance": site.maintenance,
        }
        for name, path in inside.items():
            if path and not any(f"{path}/".startswith(f"{entry}/") for entry in self.code):
                yield f"nginx.{name}: {path} is not part of the code"
