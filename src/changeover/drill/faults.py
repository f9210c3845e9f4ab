"""The faults that a drill can inject: where each strikes, what it may cost, and how it must end."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DONE, OLD_SERVES, RED, BACK, MIXED, HELD, INTERRUPTED = 0, 1, 6, 3, 4, 5, 130
# The pools of an app find their database again within this many seconds after it is back.
POOL_SECONDS = 5.0


class FaultUnknown(InvalidInput):
    """There is no fault of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Args:
        name: What ``--fault`` takes.
        says: What is done, as a clause.
        step: The step at whose begin it strikes.
        ends: The exit codes that the deployment may end with.
        signal: What is sent to the controller.
        rival: Whether a second controller deploys meanwhile; it must find the lock held.
        cuts: Whether the controller's SSH sessions to an app host are ended, as the deploy user.
        group: Where an administrator is needed: on the last host of this group.
        strike: What the administrator runs there; ``{app}`` is the app's name.
        heal: What the administrator runs there when the deployment has ended; at once where
            ``strike`` ends by itself.
        cost: Why requests that are under way between strike and heal may fail; ``None``: none may.
        cuts_sockets: Whether WebSockets may be cut as well.
        lingers: Seconds after healing in which the app recovers.
        then: What is typed after an exit code, as the line ``next:`` says.
    """

    name: str
    says: str
    step: str
    ends: frozenset[int]
    signal: signal.Signals | None = None
    rival: bool = False
    cuts: bool = False
    group: str | None = None
    strike: str = ""
    heal: str = ""
    cost: str | None = None
    cuts_sockets: bool = False
    lingers: float = 0.0
    then: Mapping[int, str] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """Return who injects it."""
        if self.group:
            return "administrator"
        return "deploy user" if self.cuts else "controller"


# Only what is live has to be there: a release that was placed before would not be placed again.
FILL = """\
releases=/opt/{app}/releases
live=$(basename "$(readlink /run/{app}/current)")
aside=$(mktemp -d)
size=$(( $(du -sk "$releases/$live" | cut -f1) * 2 + 2048 ))
mount -t tmpfs -o "size=${size}k,mode=755" changeover-drill "$aside"
cp -a "$releases/$live" "$aside/"
! dd if=/dev/zero of="$aside/.changeover-drill" bs=64k 2>/dev/null
[ "$(stat --file-system --format=%f "$aside")" = 0 ] || { umount "$aside"; exit 1; }
mount --bind "$aside" "$releases"
umount "$aside"
rmdir "$aside\""""
UNFILL = "umount /opt/{app}/releases || umount --lazy /opt/{app}/releases"
# A server that recovers from a crash may take as long.
RESTART = """\
timeout 60 systemctl restart postgresql
timeout 60 sh -c 'until pg_isready --quiet; do sleep 0.1; done'"""
BROKEN_SITE = "/etc/nginx/sites-enabled/changeover-drill.conf"


def _ended(name: str, says: str, step: str, number: signal.Signals, then: str) -> Fault:
    """Return the fault that ends the controller by a signal; a verb goes on from there."""
    end = INTERRUPTED if number in {signal.SIGINT, signal.SIGTERM} else -number
    ends, typed = frozenset({end}), {end: then}
    return Fault(name=name, says=says, step=step, signal=number, ends=ends, then=typed)


def _restarted(name: str, when: str, step: str, ends: frozenset[int]) -> Fault:
    """Return the fault that restarts PostgreSQL."""
    return Fault(
        name=f"restart-database-{name}",
        says=f"PostgreSQL is restarted {when}",
        step=step,
        group="db",
        strike=RESTART,
        cost="PostgreSQL is restarted",
        lingers=POOL_SECONDS,
        ends=ends,
    )


FAULTS = (
    # First: later VERSION lies on the hosts, and nothing of it has to be sent or written.
    Fault(
        name="fill-disk",
        says="the file system of the releases is full once the bundle is to be placed",
        # Placing begins later: it may take a moment only.
        step="backup",
        group="app",
        strike=FILL,
        heal=UNFILL,
        ends=frozenset({OLD_SERVES}),
    ),
    _ended(
        "kill-before-switch",
        "the controller is killed while the new colour starts",
        "start",
        signal.SIGKILL,
        "resume",
    ),
    _ended(
        "kill-after-switch",
        "the controller is killed after users were moved, before that is confirmed",
        "smoke",
        signal.SIGKILL,
        "abort",
    ),
    _ended(
        "interrupt", "Ctrl-C while the new colour is looked at", "preview", signal.SIGINT, "abort"
    ),
    _ended(
        "terminate",
        "a job of CI is cancelled while the bundle is placed",
        "place",
        signal.SIGTERM,
        "resume",
    ),
    Fault(
        name="two-controllers",
        says="a second controller deploys at the same time",
        step="start",
        rival=True,
        ends=frozenset({DONE}),
    ),
    Fault(
        name="cut-ssh",
        says="every SSH session of the deploy user to an app host is ended",
        step="start",
        cuts=True,
        ends=frozenset({DONE, OLD_SERVES, RED}),
    ),
    _restarted("in-backup", "while it is backed up", "backup", frozenset({DONE, OLD_SERVES, RED})),
    _restarted(
        "at-start", "while the new colour starts", "start", frozenset({DONE, OLD_SERVES, RED})
    ),
    _restarted("after-switch", "after users were moved", "smoke", frozenset({DONE, BACK})),
    Fault(
        name="break-nginx",
        says="Nginx has a configuration that it would not load",
        step="start",
        group="app",
        strike=f"echo 'changeover_drill;' > {BROKEN_SITE}",
        heal=f"rm -f {BROKEN_SITE} && nginx -t",
        ends=frozenset({DONE, OLD_SERVES, BACK}),
    ),
    Fault(
        name="stop-nginx",
        says="Nginx is stopped after users were moved",
        step="smoke",
        group="app",
        strike="systemctl stop nginx",
        heal="systemctl start nginx",
        cost="Nginx is stopped",
        cuts_sockets=True,
        ends=frozenset({DONE, BACK, MIXED}),
    ),
)


def chosen(names: Iterable[str]) -> tuple[Fault, ...]:
    """Return the named faults in the order of the catalogue; all of them where none is named.

    Raises:
        FaultUnknown: A name is none of theirs.
    """
    wanted = set(names)
    known = {each.name for each in FAULTS}
    if unknown := sorted(wanted - known):
        raise FaultUnknown(
            f"there is no fault {unknown[0]}",
            hint="changeover drill --list shows the faults",
        )
    return tuple(each for each in FAULTS if not wanted or each.name in wanted)
