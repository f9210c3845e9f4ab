"""What a plan is made from: the release as built, and what was found before planning. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from changeover.steps import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.estimate import Estimate
    from changeover.policy.canary import Canary
    from changeover.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The release that a plan goes to, as built.

    Args:
        version: Its version.
        colour: Its bundle's colour in this environment.
        digest: The sha256 of its bundle.
        bundle: The bundle's file name.
        guide: Sections of its GUIDE.md by step kind.
        drain_seconds: How long its predecessor's connections may take to end.
        canary: The shares of clients that get it before everybody does.
        canary_option: What the command says of them, for whoever goes on with the deployment.
        preconditions: What the live data has to meet, by id.
        waived: Those of them that only warn.
    """

    version: str
    colour: str
    digest: str
    bundle: str
    guide: Mapping[str, Sequence[str]]
    drain_seconds: int
    canary: Canary | None = None
    canary_option: str | None = None
    preconditions: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """What the lease is taken for, as hosts keep it."""
        option = f" --canary {self.canary_option}" if self.canary_option else ""
        waived = "".join(f" --waive {each}" for each in self.waived)
        return f"deploy {self.version}{option}{waived}"

    def guided(self, kind: str) -> tuple[str, ...]:
        """Return the sections of its GUIDE.md about a kind of step."""
        return tuple(self.guide.get(kind, ()))

    def placing(self, hosts: tuple[str, ...]) -> Place:
        """Return the step that puts its bundle on hosts, where it stays inert."""
        return Place(
            id="place", hosts=hosts, colour=self.colour, digest=self.digest, bundle=self.bundle
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlChange:
    """One statement that a plan runs, and whom it meets.

    Args:
        migration: ``<version>/<phase>/<name>``.
        sql: The statement.
        meets: A line for each table it meets: the lock, rows and size, and who would wait.
        rewrites: Whether it writes a table anew; ``None`` where that cannot be told yet.
        measured: What the last rehearsal of exactly this statement measured; nothing where none did.
    """

    migration: str
    sql: str
    meets: tuple[str, ...] = ()
    rewrites: bool | None = False
    measured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChange:
    """The app's own migrator, as a plan runs it.

    Args:
        id: ``<version>/migrator``.
        host: The app host that it runs on.
        command: Its words.
        status: What tells whether something is left; empty where nothing does.
        undo: What takes it back; empty where nothing does.
        deadline_seconds: How long each of them may take.
    """

    id: str
    host: str
    command: tuple[str, ...]
    status: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    deadline_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDue:
    """A task that is part of a release and was not done for it yet, as a plan runs it.

    Args:
        run: What the release calls it.
        task: The task.
        summary: What it does.
        when: The point of the deployment that it belongs to.
        values: Its values.
        command: Its words.
        dry_run: What tells what it would do; empty where nothing does.
        undo: What takes it back; empty where what it does stays.
        deadline_seconds: How long each of them may take.
    """

    run: str
    task: str
    summary: str
    when: Literal["before_switch", "after_confirm"]
    values: tuple[tuple[str, str], ...]
    command: tuple[str, ...]
    dry_run: tuple[str, ...]
    undo: tuple[str, ...]
    deadline_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An app host that a plan leaves out: users are kept from it until it is caught up.

    Args:
        host: Its name.
        why: What it does, in words that stay the same from one look to the next: ``does not answer``.
    """

    host: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What was found before planning.

    Args:
        environment: Its name.
        app: The app.
        live: The colour that users see on every app host; ``None`` before the first deployment.
        live_version: Its version.
        app_hosts: The app hosts' names.
        all_hosts: Every host that takes the lease.
        database_hosts: The database hosts' names.
        files: File changes, as unified diffs without secrets.
        variables: Environment changes as lines without secrets.
        pending: Pending migrations of the phases that a deployment runs.
        statements: Their statements.
        own: The app's own migrator, where it is to run; then no SQL is pending.
        runs: The tasks of the release that were not done for it yet.
        full: Whether the database holds rows although nothing is live.
        bake_seconds: How long the version has to be live before `finalize` may end its way back.
        advice: What squawk says of the statements, weighed by what was measured; the weightiest first.
        checks: What must hold of the data before they are committed, a line each.
        preconditions: What must hold of the live data before anything is changed, a line each.
        beside: What the old version runs beside them, and what a rehearsal found of it, a line each.
        verdict: The way back.
        afterwards: The way back once `finalize` has run the contract migrations that are pending;
            ``None`` where there are none.
        price: About what a restore will leave behind, where one of both is ``restore``.
        warnings: What a person should know before saying yes.
        unreachable: What is done about app hosts that cannot be reached.
        skipped: The app hosts that are left out.
        balancers: The hosts that keep users from them.
        strategy: Whether the new version runs ``beside`` the old one, or in its place behind a page of
            ``maintenance``.
        page: Whether such a page is on already, by hand.
    """

    environment: str
    app: str
    live: str | None
    live_version: str | None
    app_hosts: tuple[str, ...]
    all_hosts: tuple[str, ...]
    database_hosts: tuple[str, ...]
    verdict: Verdict
    afterwards: Verdict | None = None
    price: Estimate | None = None
    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    statements: tuple[SqlChange, ...] = ()
    own: OwnChange | None = None
    runs: tuple[TaskDue, ...] = ()
    full: bool = False
    bake_seconds: int = 0
    advice: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    preconditions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unreachable: str = "fail"
    skipped: tuple[Skipped, ...] = ()
    balancers: tuple[str, ...] = ()
    strategy: Literal["beside", "maintenance"] = "beside"
    page: bool = False

    @property
    def changes_site(self) -> bool:
        """Whether Nginx has to read another site, which takes a reload."""
        return any(text.startswith("--- site.conf") for text in self.files)

    @property
    def saves(self) -> bool:
        """Whether there is something to lose, so that it is backed up and rehearsed on."""
        return bool(self.live and self.live_version) or (
            self.full and bool(self.pending or self.own)
        )
