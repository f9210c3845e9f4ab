"""The step kinds that lead forward, in about the order of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from changeover.steps.step import Phase, Step

if TYPE_CHECKING:
    from changeover.policy.canary import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight(Step):
    """Hold the hosts against the release's requirements, and the live data against its preconditions.

    ``waived`` names the preconditions that only warn.
    """

    kind: ClassVar[str] = "preflight"
    says: ClassVar[str] = "check the hosts against the requirements"
    version: str
    preconditions: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain(Step):
    """Hold the live data against the release's preconditions once more, just before users notice."""

    kind: ClassVar[str] = "ask-again"
    says: ClassVar[str] = "ask again whether the live data meets the preconditions"
    version: str
    waived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(Step):
    """Take the lease on every host."""

    kind: ClassVar[str] = "lock"
    says: ClassVar[str] = "take the lease on every host"
    reason: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence(Step):
    """Keep users from app hosts at every balancer; they are behind until they are caught up."""

    kind: ClassVar[str] = "fence"
    says: ClassVar[str] = "keep users from hosts that are left out, at the balancer"
    servers: tuple[str, ...]
    why: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfence(Step):
    """Send users to app hosts again that were caught up."""

    kind: ClassVar[str] = "unfence"
    says: ClassVar[str] = "send users to them again, at the balancer"
    servers: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup(Step):
    """Dump the database and prove the dump by restoring it beside the live one.

    The backup carries the deployment's id as its own. With ``keep`` the restored database stays for
    the step that makes use of it. ``again`` is a second one of its own id, taken while nobody writes,
    and only where the way back is a backup.
    """

    kind: ClassVar[str] = "backup"
    says: ClassVar[str] = "back up the database and prove it by a restore"
    colour: str
    version: str
    keep: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearse(Step):
    """Try the pending migrations of the named phases on a clone of the deployment's backup."""

    kind: ClassVar[str] = "rehearse"
    says: ClassVar[str] = "try the pending migrations on a clone of the backup"
    phases: tuple[Phase, ...]
    migrations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseOwn(Step):
    """Try the app's own migrator on a clone of the deployment's backup, from one app host."""

    kind: ClassVar[str] = "rehearse"
    says: ClassVar[str] = "try the app's own migrator on a clone of the backup"
    colour: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Step):
    """Put the bundle on every app host, inert."""

    kind: ClassVar[str] = "place"
    says: ClassVar[str] = "put the bundle on every app host"
    colour: str
    digest: str
    bundle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrate(Step):
    """Run the pending migrations of the named phases."""

    kind: ClassVar[str] = "migrate"
    says: ClassVar[str] = "run the pending migrations"
    phases: tuple[Phase, ...]
    migrations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateOwn(Step):
    """Run the app's own migrator on one app host, as the owner role.

    Without a predecessor that is live nobody else writes, so that data can be compared.
    """

    kind: ClassVar[str] = "migrator"
    says: ClassVar[str] = "run the app's own migrator"
    colour: str
    version: str
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Step):
    """Start the new colour beside the old one and wait until it is healthy."""

    kind: ClassVar[str] = "start"
    says: ClassVar[str] = "start the new colour beside the old one and wait for its health"
    colour: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSmoke(Step):
    """Ask the new colour on each host, through an Nginx of its own, before any user is sent to it."""

    kind: ClassVar[str] = "preview"
    says: ClassVar[str] = "smoke the new colour through an Nginx of its own"
    through: ClassVar[Literal["private", "live"]] = "private"
    colour: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary(Step):
    """Send a share of the clients to the new colour, and hold it to gates beside the old one.

    Args:
        percent: The share.
        seconds: How long it lasts.
        deadline_seconds: How long it waits for enough answers.
        gates: What the new colour has to show.
    """

    kind: ClassVar[str] = "canary"
    says: ClassVar[str] = "send a share of the clients to the new colour, and hold it to its gates"
    colour: str
    percent: int
    seconds: int
    deadline_seconds: int
    gates: Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Step):
    """Send users to the new colour by one rename on each app host."""

    kind: ClassVar[str] = "switch"
    says: ClassVar[str] = "send users to the new colour"
    colour: str
    before: str | None
    deadman_seconds: int
    closing_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke(Step):
    """Ask the live version from outside, through TLS, and each host for the health of a colour."""

    kind: ClassVar[str] = "smoke"
    says: ClassVar[str] = "smoke the live version from outside"
    version: str
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(Step):
    """Tell every host, over a fresh connection, that the new colour stays."""

    kind: ClassVar[str] = "confirm"
    says: ClassVar[str] = "confirm the switch over a fresh connection"
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Step):
    """Close the old colour's connections; it comes back warm and idle for a rollback."""

    kind: ClassVar[str] = "drain"
    says: ClassVar[str] = "drain the old colour and keep it warm"
    colour: str
    keep: tuple[str, ...]
    warm: bool
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(Step):
    """Stop colours that nobody needs any more and remove their files."""

    kind: ClassVar[str] = "retire"
    says: ClassVar[str] = "stop and remove the old colours"
    colours: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock(Step):
    """Give the lease back."""

    kind: ClassVar[str] = "unlock"
    says: ClassVar[str] = "give the lease back"
