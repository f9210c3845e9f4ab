"""What every role promises: documented variables, one source for them, a table of contents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from changeover.agent.traffic import move
from changeover.plan import order

CHECKOUT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent for path in (CHECKOUT / "roles").glob("*/tasks"))
OURS = {path.stem for path in (CHECKOUT / "playbooks/library").glob("*.py")}
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def options(role: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document(role / "meta/argument_specs.yml")["argument_specs"][
        "main"
    ]["options"]
    return found


def test_there_are_roles() -> None:
    names = {role.name for role in ROLES}

    assert {"base", "tls", "nginx", "balancer", "redis", "postgresql", "python", "runtime"} <= names


@each_role
def test_defaults_are_the_optional_variables_of_the_specs(role: Path) -> None:
    optional = {
        name: option["default"]
        for name, option in options(role).items()
        if not option.get("required")
    }

    assert document(role / "defaults/main.yml") == optional


@each_role
def test_every_variable_has_the_roles_prefix_a_type_and_a_description(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_")
        assert option["type"]
        assert option["description"].endswith(".")


@each_role
def test_passwords_are_kept_out_of_what_ansible_prints(role: Path) -> None:
    for name, option in options(role).items():
        if "password" in name:
            assert option["no_log"] is True


@each_role
def test_every_default_has_a_comment_above_it(role: Path) -> None:
    commented = False
    for line in (role / "defaults/main.yml").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            commented = True
        elif not line:
            commented = False
        elif line[0] != " ":
            assert commented, f"{role.name}: {line}"


@each_role
def test_private_variables_have_the_private_prefix(role: Path) -> None:
    path = role / "vars/main.yml"
    for name in document(path) if path.exists() else ():
        assert name.startswith(f"__{role.name}_")


@each_role
def test_only_builtin_modules_and_our_own_are_used(role: Path) -> None:
    plain = {
        "name",
        "when",
        "loop",
        "loop_control",
        "vars",
        "register",
        "notify",
        "block",
        "listen",
    }
    plain |= {"check_mode", "changed_when", "no_log", "delegate_to", "become", "run_once", "diff"}
    for path in [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]:
        tasks: list[dict[str, Any]] = list(yaml.safe_load(path.read_text(encoding="utf-8")))
        while tasks:
            task = tasks.pop()
            tasks += task.get("block", [])
            modules = set(task) - plain
            assert all(module.startswith("ansible.builtin.") for module in modules - OURS), (
                path,
                task,
            )


@each_role
def test_what_a_handler_did_not_put_into_force_stays_due(role: Path) -> None:
    handlers = role / "handlers/main.yml"
    known = yaml.safe_load(handlers.read_text(encoding="utf-8")) if handlers.exists() else []
    forgets = []
    judged: dict[str, list[str]] = {}
    for task in known:
        if task.get("ansible.builtin.file", {}).get("state") != "absent":
            # handlers are forced: those after a failed one run, too
            judged.setdefault(task.get("listen", task["name"]), []).append(task["register"])
            continue
        topic, conditions = task["listen"], task["when"]
        forgets.append((topic, task["ansible.builtin.file"]["path"]))
        wanted = [f"{name} is not failed" for name in judged.pop(topic)]
        assert ([conditions] if isinstance(conditions, str) else conditions) == wanted
    assert judged == {}
    for path in role.glob("tasks/*.yml"):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            if "changeover_files" not in task or "notify" not in task:
                continue
            due = task["changeover_files"]["due"]
            named = document(role / "vars/main.yml").get(due.strip("{} "), due)
            assert named.startswith(f"/run/changeover/due/{role.name}/")
            assert any(task["notify"] == topic and named.startswith(at) for topic, at in forgets)


def test_readmes_say_what_the_specs_say() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/role_readmes.py", "--check"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_nginx_keeps_no_idle_connection_for_longer_than_a_reload_waits() -> None:
    kept = options(CHECKOUT / "roles/nginx")["nginx_keepalive_timeout"]["choices"]

    assert max(int(each.removesuffix("s")) for each in kept) < min(
        move.CLOSING_SECONDS, order.CLOSING_SECONDS
    )
