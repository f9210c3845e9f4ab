"""What is done by hand between deployments: under the lease of one, and journaled like one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from changeover import steps
from changeover.colour import version_of
from changeover.errors import ChangeoverError, Interrupted
from changeover.executors import lease
from changeover.plan.order import LEASE_SECONDS
from changeover.remote.failures import SessionLost
from changeover.runner import database, endings
from changeover.runner.back import withdrawal
from changeover.runner.fleet import away, survey
from changeover.runner.lease import holder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from changeover.inventory import Host
    from changeover.runner.context import Context
    from changeover.runner.run import Run


def backup(host: Host, live: str) -> steps.Backup:
    """Return the step that backs up what is live, before anything is tried or undone by hand.

    Args:
        host: The database's host.
        live: The live colour: its configuration goes into the backup.
    """
    version = version_of(live)
    return steps.Backup(id="backup", hosts=(host.name,), colour=live, version=version, keep=True)


@contextlib.contextmanager
def leased(
    context: Context,
    command: str,
    about: str | None,
    *,
    hint: str,
    beyond: int = 0,
    also: Sequence[Host] = (),
    without: Collection[str] = (),
) -> Iterator[Run]:
    """Give a run that holds the lease on every host, and tell the journal how it went.

    Args:
        context: What the verb works with.
        command: The verb, as it is typed.
        about: What it is done to, for the journal and for whoever finds the lease taken.
        hint: What to type after an interrupt.
        beyond: The fencing number that the ledger knows.
        also: Hosts that it is held on beside those of the app and its database.
        without: App hosts that do not answer, and that this can be done without.

    Raises:
        LockHeld: A deployment, or another hand, holds the lease.
        Interrupted: A person or the machine stopped it.
    """
    run = context.run()
    behind = survey.fenced(run.fleet, run.environment.balancers)
    run.leave_out(dict.fromkeys(behind, away.FENCED))
    known = {host.name: host for host in (*run.lease_hosts, *also)}
    hosts = tuple(host for name, host in known.items() if name not in without)
    database.exceed(run, beyond)
    run.begin(command, None, about)
    reason, left = f"{command} {about or ''}".strip(), list[str]()
    try:
        holder.take(run, hosts, reason, LEASE_SECONDS, steal=False)
        with run.holding(hosts):
            withdrawal.overtaken(run)
            # From here on what was done is told, whatever becomes of the journal.
            run.unstoppable = True
            yield run
    except KeyboardInterrupt as error:
        run.end("interrupted", Interrupted.exit_code, f"interrupted at {reason}")
        raise Interrupted(f"interrupted at {reason}", hint=hint) from error
    except ChangeoverError as error:
        if isinstance(error, SessionLost) and holder.backs_up({"reason": reason}):
            left = withdrawal.backup(run, run.fleet.deployment)
        run.end("failed", error.exit_code, error.message)
        raise
    except Exception as error:
        failure = endings.unexpected(error)
        run.end("failed", failure.exit_code, failure.message)
        raise failure from error
    finally:
        if left:
            endings.let_expire(run)
        lease.unlock(run.fleet, hosts)
    run.end("done", 0, reason)
