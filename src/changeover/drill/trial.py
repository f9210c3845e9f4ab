"""One fault, from a settled environment to the same settled environment, and what came of it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.colour import version_of
from changeover.drill import controller as controllers
from changeover.drill import recording, settled
from changeover.drill.administrator import Administrator
from changeover.drill.faults import HELD
from changeover.drill.moves import moves_of
from changeover.executors.verify import access
from changeover.load.judgement import Judgement, Window, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from changeover.drill.controller import Controller, Event
    from changeover.drill.declaration import Declared
    from changeover.drill.faults import Fault
    from changeover.drill.recording import Recording
    from changeover.inventory import Environment, Host
    from changeover.release import App

CUT_SECONDS = 30
# OpenSSH calls a session's process sshd up to 9.7, and sshd-session from then on.
CUT = "pkill -x -u $(id -u) 'sshd|sshd-session'"
# How ssh ends whose session does.
LOST = 255
# So many requests are answered after the last command, so that what it left is seen.
LAST_REQUESTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a drill takes place.

    Args:
        root: The project root.
        environment: The environment.
        env: What ``--env`` was given.
        app: The app.
        version: What is deployed in each trial.
        declared: What is sent meanwhile.
        variables: Environment variables that controllers have besides ours.
        ahead: How many seconds the clock of controllers is ahead of ours.
    """

    root: Path
    environment: Environment
    env: str
    app: App
    version: str
    declared: Declared
    variables: Mapping[str, str] = field(default_factory=dict)
    ahead: float = 0.0


@dataclass(slots=True, kw_only=True)
class Trial:
    """What came of one fault.

    Args:
        fault: The fault.
        typed: Every command with its exit code and its last message, in their order.
        events: What they told.
        windows: What the fault itself may have cost.
        judgement: What users saw; ``None`` where no load was declared.
        red: A sentence for everything that is not as it must be.
        seconds: How long it took.
    """

    fault: Fault
    typed: list[tuple[str, int, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    judgement: Judgement | None = None
    red: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as one event."""
        return {
            "type": "drill",
            "fault": self.fault.name,
            "says": self.fault.says,
            "step": self.fault.step,
            "ok": not self.red,
            "commands": [
                {"command": typed, "exit": code, "message": message}
                for typed, code, message in self.typed
            ],
            "windows": [
                {"cause": one.cause, "seconds": round(one.end - one.start, 2)}
                for one in self.windows
            ],
            "history": self.judgement.as_json() if self.judgement else None,
            "red": list(self.red),
            "seconds": round(self.seconds, 1),
        }


def run(setting: Setting, fault: Fault, report: Callable[[Event], None]) -> Trial:
    """Inject one fault into a deployment under load, take everything back, and judge.

    Raises:
        NotSettled: The environment is not in a state that a drill can begin from.
        LoadNotBegun: The declared load does not reach the app.
        AdministratorAbsent: The fault needs one.
    """
    before = settled.require(setting.environment, setting.app.app)
    trial, begun = Trial(fault=fault), time.monotonic()
    records = setting.root / "build" / "drill" / f"{fault.name}.jsonl"
    with contextlib.ExitStack() as stack:
        load = None
        if setting.declared.path:
            load = stack.enter_context(
                recording.recording(setting.environment, setting.app.app, setting.declared, records)
            )
        _struck(setting, trial, report)
        _back(setting, trial, before.live)
        if load:
            _judged(setting, trial, load, before.live)
    trial.red += settled.differences(setting.environment, setting.app.app, before)
    trial.seconds = time.monotonic() - begun
    return trial


def _struck(setting: Setting, trial: Trial, report: Callable[[Event], None]) -> None:
    """Deploy, strike, heal, and go on as the exit code says."""
    fault = trial.fault
    with contextlib.ExitStack() as stack:
        shell = _administrator(setting, fault, stack)
        deploying = controllers.begin(
            *("deploy", setting.version, "--yes"),
            *("--env", setting.env, "--app", setting.app.app),
            variables=setting.variables,
        )
        stack.callback(controllers.end, deploying)
        striking = _Strike(setting, trial, deploying, shell)
        stack.callback(striking.heal)
        code = deploying.follow(fault.step, lambda: striking(report))
        striking.heal()
        _note(trial, deploying, code)
        if not striking.struck:
            trial.red.append(f"the deployment ended before its step {fault.step} began")
        elif code not in fault.ends:
            wanted = " or ".join(str(each) for each in sorted(fault.ends))
            trial.red.append(f"deploy ended with exit {code}, not {wanted}: {deploying.message}")
    if (verb := fault.then.get(code)) is not None:
        _type(setting, trial, verb)


def _administrator(
    setting: Setting, fault: Fault, stack: contextlib.ExitStack
) -> Administrator | None:
    if fault.group is None:
        return None
    host = setting.environment.hosts_in(fault.group)[-1]
    return stack.enter_context(Administrator(setting.environment, host))


class _Strike:
    """Does what a fault is, and takes it back once."""

    def __init__(
        self, setting: Setting, trial: Trial, deploying: Controller, shell: Administrator | None
    ) -> None:
        self._setting, self._trial, self._deploying = setting, trial, deploying
        self._shell = shell
        self._begun = 0.0
        self._healed = False
        self.struck = False

    def __call__(self, report: Callable[[Event], None]) -> None:
        fault, self.struck, self._begun = self._trial.fault, True, time.time()
        says = f"{fault.name}: at {fault.step}, {fault.says}"
        report({"type": "drill-strike", "fault": fault.name, "step": fault.step, "says": says})
        if fault.signal:
            self._deploying.signal(fault.signal)
        if fault.cuts:
            host = self._setting.environment.hosts_in("app")[0]
            if not _cut_ssh(self._setting.environment, host):
                self._trial.red.append(f"no SSH session to {host.name} was ended")
        if self._shell:
            self._shell.run(fault.strike.replace("{app}", self._setting.app.app))
            if not fault.heal:
                self.heal()
        if fault.rival:
            code = _type(self._setting, self._trial, "deploy", self._setting.version, "--yes")
            if code != HELD:
                self._trial.red.append(f"the second controller ended with exit {code}, not {HELD}")

    def heal(self) -> None:
        """Take the fault back, and declare what it may have cost."""
        fault = self._trial.fault
        if self._healed or not self.struck:
            return
        self._healed = True
        if self._shell and fault.heal:
            self._shell.run(fault.heal.replace("{app}", self._setting.app.app))
        if fault.cost:
            self._trial.windows.append(
                Window(
                    cause=fault.cost,
                    start=self._begun,
                    end=time.time() + fault.lingers,
                    sockets=fault.cuts_sockets,
                )
            )


def _cut_ssh(environment: Environment, host: Host) -> bool:
    """End every session of the deploy user on a host; tell whether the one that asks for it was ended."""
    with tempfile.TemporaryDirectory(prefix="changeover-drill-") as folder:
        config = Path(folder) / "ssh_config"
        config.write_text(access.ssh_config(environment, Path(folder)))
        asked = subprocess.run(
            ["ssh", "-F", str(config), f"{host.name}-deploy", CUT],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=CUT_SECONDS,
            check=False,
        )
    return asked.returncode == LOST


def _back(setting: Setting, trial: Trial, before: str) -> None:
    """Return to the release that was live, as a user would, and see that it is well."""
    live = settled.live(setting.environment, setting.app.app)
    moved = any(each != before for each in live.values())
    if moved and _type(setting, trial, "rollback", "--to", str(version_of(before))):
        trial.red.append("rollback did not lead back to what was live before")
    if _type(setting, trial, "smoke"):
        trial.red.append("smoke is red after everything was taken back")


def _judged(setting: Setting, trial: Trial, load: Recording, before: str) -> None:
    if not load.further(LAST_REQUESTS):
        trial.red.append("the load ended before the trial did: nobody knows what users saw then")
    history = load.end()
    trial.judgement = judge(
        history,
        before=before,
        moves=moves_of(trial.events, before=before, ended=time.time(), ahead=setting.ahead),
        windows=trial.windows,
        rows=recording.rows_of(setting.environment, setting.app, setting.declared),
    )
    trial.red += trial.judgement.findings


def _type(setting: Setting, trial: Trial, *words: str) -> int:
    """Run a command as a user would, and note how it ended."""
    typed = controllers.begin(
        *words, "--env", setting.env, "--app", setting.app.app, variables=setting.variables
    )
    try:
        code = typed.follow()
    finally:
        controllers.end(typed)
    _note(trial, typed, code)
    if code and words[0] in {"resume", "abort"}:
        trial.red.append(f"{words[0]} ended with exit {code}: {typed.message}")
    return code


def _note(trial: Trial, typed: Controller, code: int) -> None:
    said = " ".join(word for word in typed.words if word != "--yes")
    trial.typed.append((f"changeover {said}", code, typed.message))
    trial.events += typed.events


def trials(
    setting: Setting, faults: tuple[Fault, ...], report: Callable[[Event], None]
) -> Iterator[Trial]:
    """Run one trial after another, and stop after one that did not lead back."""
    for fault in faults:
        trial = run(setting, fault, report)
        yield trial
        if settled.differences(setting.environment, setting.app.app, None):
            return
