"""Ansible's view of a run as one JSON object a line, instead of its words for people.

Ansible finds this file by its directory (``ANSIBLE_CALLBACK_PLUGINS``) and loads it in its own
process; nothing of ours is imported here. Results arrive with what tasks declare ``no_log`` taken out.
"""

# ruff: noqa: INP001 - Ansible loads the file by its path
# ruff: noqa: ANN401 - its objects carry no types
from __future__ import annotations

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: changeover_events
type: stdout
short_description: one JSON object a line
description:
  - Prints plays, tasks, what each host answered, and the final counts as JSON lines.
"""
NO_TRACE = "(traceback unavailable)"
CAUSES = ("msg", "stderr", "module_stderr", "stdout", "exception")


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible ships no types
    """Print events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "changeover_events"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Tell that a play begins."""
        emit({"event": "play", "name": play.get_name().strip()})

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Tell that a task begins."""
        del is_conditional
        emit({"event": "task", "name": task_name(task)})

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Tell that a handler begins."""
        emit({"event": "task", "name": task_name(task)})

    def v2_runner_on_ok(self, result: Any) -> None:
        """Tell what a host did, or that there was nothing to do."""
        emit(answer(result, "changed" if result.result.get("changed") else "ok"))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell what failed on a host, and why."""
        if not ignore_errors:
            emit(answer(result, "failed") | {"cause": cause(result.result)})

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell that a host does not answer."""
        emit(answer(result, "unreachable") | {"cause": cause(result.result)})

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the counts of every host."""
        emit(
            {
                "event": "counts",
                "hosts": {
                    host: {
                        "ok": counts["ok"],
                        "changed": counts["changed"],
                        "failed": counts["failures"],
                        "unreachable": counts["unreachable"],
                    }
                    for host in sorted(stats.processed)
                    for counts in [stats.summarize(host)]
                },
            }
        )


def emit(event: dict[str, Any]) -> None:
    """Print one event."""
    sys.stdout.write(json.dumps(event, default=str) + "\n")
    sys.stdout.flush()


def task_name(task: Any) -> str:
    """Return a task's name with its role's: ``nginx : Write the configuration``."""
    return str(task.get_name()).strip()


def answer(result: Any, status: str) -> dict[str, Any]:
    """Return what all answers have in common."""
    told: dict[str, Any] = {
        "event": "answer",
        "host": result.host.get_name(),
        "task": task_name(result.task),
        "status": status,
    }
    differences = list(changed_texts(result.result))
    if differences:
        told["differences"] = differences
    items = list(result.result.get("paths", ()))
    for item in result.result.get("results", ()):
        if isinstance(item, dict) and item.get("changed"):
            items += item.get("paths") or [str(item.get("_ansible_item_label", item.get("item")))]
    if items:
        told["items"] = items
    if result.task.action.endswith("debug"):
        told["message"] = result.result.get("msg")
    return told


def changed_texts(result: dict[str, Any]) -> Any:
    """Yield before and after of every file that a task would change or did."""
    for one in [result, *result.get("results", ())]:
        difference = one.get("diff") if isinstance(one, dict) else None
        for part in difference if isinstance(difference, list) else [difference]:
            if isinstance(part, dict) and part.get("before") != part.get("after"):
                yield {
                    "name": part.get("after_header") or part.get("before_header") or "",
                    "before": as_text(part.get("before")),
                    "after": as_text(part.get("after")),
                }


def as_text(value: Any) -> str:
    """Return a side of a difference as text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, indent=2, sort_keys=True, default=str) + "\n"


def cause(result: dict[str, Any]) -> str:
    """Return what the host said: the parts of a failed answer, and of its failed items."""
    parts: list[str] = []
    for one in [result, *result.get("results", ())]:
        if isinstance(one, dict) and (one is result or one.get("failed")):
            parts += [str(one[key]).strip() for key in CAUSES if one.get(key)]
    text = "\n".join(dict.fromkeys(part for part in parts if part))
    return text.replace(NO_TRACE, "").strip().removeprefix("Task failed: ")
