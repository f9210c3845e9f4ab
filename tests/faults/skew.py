"""A clock that is wrong: the agent's on a host, against its controller's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

AGENT = "/usr/local/lib/changeover/agent"
SKEWED = """\
#!/usr/bin/python3 -I
import runpy, sys, time
true = time.time
time.time = lambda: true() + {seconds}
sys.argv[0] = "{agent}.true"
runpy.run_path("{agent}.true", run_name="__main__")
"""


def skew_agent(lab: Lab, host: str, seconds: int) -> None:
    """Have the agent on a host live so many seconds ahead."""
    text = SKEWED.format(seconds=seconds, agent=AGENT).encode()
    script = base64.b64encode(text).decode()
    lab.ssh(host, f"cp -p {AGENT} {AGENT}.true && echo {script} | base64 -d > {AGENT}")


def mend_agent(lab: Lab, host: str) -> None:
    """Give the agent the true time again."""
    lab.ssh(host, f"mv {AGENT}.true {AGENT}")
