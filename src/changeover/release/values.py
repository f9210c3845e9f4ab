"""The environment variables of a release in an environment: every value, and where it came from."""

from __future__ import annotations

import urllib.parse
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from changeover.document import suggestion
from changeover.errors import InvalidInput
from changeover.secret import Secret

if TYPE_CHECKING:
    from changeover.inventory import Environment, Host
    from changeover.release.app import App, DatabaseUse
    from changeover.release.model import Release
    from changeover.release.variables import Variable

Origin = Literal["secret", "setting", "platform", "default"]
SECRETS, SETTINGS = "changeover_secrets", "changeover_settings"
POSTGRESQL_PORT = 5432
REDIS_PORT = 6379


class ValuesInvalid(InvalidInput):
    """Values that a release needs are missing, or are not what they must be.

    Args:
        problems: One record a value.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        cause: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, cause=cause)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one variable; it never holds the value of a secret.

    Args:
        name: The variable.
        kind: Whether it is missing, of the wrong type, or read by no release.
        said: The problem in words.
        hint: The next step: the file to edit, and the variable in it.
    """

    name: str
    kind: Literal["missing", "wrong", "unknown"]
    said: str
    hint: str


@dataclass(frozen=True, slots=True)
class Value:
    """One variable's value.

    Args:
        name: The variable.
        content: Its text as the unit gets it; a ``Secret`` where it came from one.
        origin: Where it came from.
        found_as: The name it was found under: its own, or one it had before or gets later.
    """

    name: str
    content: str | Secret
    origin: Origin
    found_as: str

    @property
    def text(self) -> str:
        """The value itself, secret or not."""
        return self.content.reveal() if isinstance(self.content, Secret) else self.content


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values(Mapping[str, "str | Secret"]):
    """The variables of one release in one environment, by name and in the release's order.

    Args:
        version: The release.
        entries: Every variable that has a value.
        problems: What is missing or wrong; none where ``environment_values`` returned it.
    """

    version: str
    entries: tuple[Value, ...]
    problems: tuple[Problem, ...] = field(default=())

    def __getitem__(self, name: str) -> str | Secret:
        """Return one value, secrets wrapped."""
        for entry in self.entries:
            if entry.name == name:
                return entry.content
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names that have a value."""
        return iter(entry.name for entry in self.entries)

    def __len__(self) -> int:
        """Return how many variables have a value."""
        return len(self.entries)

    def revealed(self) -> dict[str, str]:
        """Return every value in clear, for the one place that writes it on a host."""
        return {entry.name: entry.text for entry in self.entries}

    def redacted(self) -> dict[str, str]:
        """Return every value with secrets replaced, for people."""
        return {entry.name: str(entry.content) for entry in self.entries}


def environment_values(
    app: App,
    release: Release,
    releases: Mapping[str, Release],
    environment: Environment,
    *,
    host: Host | None = None,
) -> Values:
    """Return the values of a release's variables, all typed and complete.

    A variable is looked for in the vault, then in the settings, under its own name and then under
    every name it has in other releases; then it comes from the platform, then from its default.

    Raises:
        ValuesInvalid: Some are missing, wrong, or known to no release; all are named at once.
    """
    values = resolve(app, release, releases, environment, host=host)
    problems = values.problems
    if not problems:
        return values
    lines = "\n".join(f"{each.name}: {each.said}; {each.hint}" for each in problems)
    counted = "; ".join(
        f"{kind}: {', '.join(names)}"
        for kind in ("missing", "wrong", "unknown")
        if (names := [each.name for each in problems if each.kind == kind])
    )
    raise ValuesInvalid(
        f"{app.app} {release.version} cannot run in {environment.name}: {counted}",
        hint=problems[0].hint,
        cause=lines,
        problems=problems,
    )


def resolve(
    app: App,
    release: Release,
    releases: Mapping[str, Release],
    environment: Environment,
    *,
    host: Host | None = None,
) -> Values:
    """Return the values that there are, and the problems beside them instead of an error."""
    lookup = _Lookup(
        app=app,
        environment=environment,
        chains=_neighbours(releases),
        secrets=environment.secrets(app.app, host),
        settings=environment.settings(app.app, host),
    )
    problems = list(lookup.unknown(releases))
    entries = []
    for name, variable in release.environment.variables.items():
        found = lookup.find(name, variable)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            entries.append(found)
    return Values(version=release.version, entries=tuple(entries), problems=tuple(problems))


def names_of(name: str, releases: Mapping[str, Release]) -> tuple[str, ...]:
    """Return a variable's name and every other one it has in these releases, closest first."""
    return _chain(name, _neighbours(releases))


def _neighbours(releases: Mapping[str, Release]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for release in releases.values():
        for old, new in release.environment.renames.items():
            found.setdefault(new, []).append(old)
            found.setdefault(old, []).append(new)
    return found


def _chain(name: str, neighbours: Mapping[str, list[str]]) -> tuple[str, ...]:
    names = [name]
    waiting = deque(names)
    while waiting:
        for other in neighbours.get(waiting.popleft(), ()):
            if other not in names:
                names.append(other)
                waiting.append(other)
    return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lookup:
    app: App
    environment: Environment
    chains: Mapping[str, list[str]]
    secrets: Mapping[str, Secret]
    settings: Mapping[str, Any]

    def find(self, name: str, variable: Variable) -> Value | Problem | None:
        for candidate in _chain(name, self.chains):
            if candidate in self.secrets:
                return self._secret(name, candidate, variable)
            if self.settings.get(candidate) is not None:
                return self._setting(name, candidate, variable)
        if variable.source is not None:
            return self._provided(name, variable)
        if variable.default is not None:
            return Value(name, variable.text_of(variable.default)[0], "default", name)
        return self._absent(name, variable) if variable.required else None

    def _absent(self, name: str, variable: Variable) -> Problem:
        place = SECRETS if variable.secret else SETTINGS
        kind = "secret" if variable.secret else "value"
        return self._problem(name, "missing", f"a required {kind} is not set", place)

    def _secret(self, name: str, found_as: str, variable: Variable) -> Value | Problem:
        text, problem = variable.text_of(self.secrets[found_as].reveal())
        if problem is not None:
            return self._problem(found_as, "wrong", problem, SECRETS)
        return Value(name, Secret(text), "secret", found_as)

    def _setting(self, name: str, found_as: str, variable: Variable) -> Value | Problem:
        given = self.settings[found_as]
        if variable.secret:
            said = f"is a secret and stands in plain text; move it to {SECRETS} in a vault file"
            return self._problem(found_as, "wrong", said, SETTINGS)
        text, problem = variable.text_of(given)
        if problem is not None:
            return self._problem(found_as, "wrong", f"{given!r} {problem}", SETTINGS)
        return Value(name, text, "setting", found_as)

    def unknown(self, releases: Mapping[str, Release]) -> Iterator[Problem]:
        declared = [release.environment for release in releases.values()]
        known = {name for each in declared for name in (*each.variables, *each.removed)}
        known |= set(self.chains)
        for variable, given in ((SECRETS, self.secrets), (SETTINGS, self.settings)):
            for name in given:
                if name not in known:
                    said = f"no release reads it{suggestion(name, known)}"
                    yield self._problem(name, "unknown", said, variable)

    def _problem(
        self, name: str, kind: Literal["missing", "wrong", "unknown"], said: str, variable: str
    ) -> Problem:
        edit = self.environment.editing(variable)
        return Problem(name, kind, said, f"{edit} and set {variable}.{self.app.app}.{name}")

    def _provided(self, name: str, variable: Variable) -> Value | Problem:
        try:
            return Value(name, self._platform(variable), "platform", name)
        except InvalidInput as error:
            return Problem(name, "missing", error.message, error.hint)

    def _platform(self, variable: Variable) -> str | Secret:
        environment, app = self.environment, self.app
        if variable.source == "database" and app.database is not None:
            password = environment.database_password(app.app, "app")
            name, role = app.database.name, app.database.role
            return database_url(app.database, environment, name, role, password)
        if variable.source == "cache" and app.cache is not None:
            password = environment.cache_password(app.app)
            place = _place(environment.cache_address, REDIS_PORT)
            return Secret(f"redis://{app.cache.user}:{_quoted(password)}@{place}")
        return environment.public_url(app.app)


def database_url(
    use: DatabaseUse, environment: Environment, name: str, role: str, password: Secret
) -> Secret:
    """Return how a role of an app reaches a database on its server, in the private network."""
    place = _place(environment.database_address, POSTGRESQL_PORT)
    mode = f"?sslmode={use.sslmode}" if use.sslmode else ""
    return Secret(f"postgresql://{role}:{_quoted(password)}@{place}/{name}{mode}")


def _quoted(password: Secret) -> str:
    return urllib.parse.quote(password.reveal(), safe="")


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
