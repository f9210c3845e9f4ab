"""What is loaded where it is used first: all of it is there, and a plain way back does without most."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

from changeover import lazily
from changeover.executors import backup, migrate

# What a rollback that renames back has no use for: it would only keep users waiting.
UNUSED = (
    "ansible",
    "jinja2",
    "pyinfra",
    "websockets",
    "changeover.bundle",
    "changeover.executors.migrate.adoption",
    "changeover.executors.migrate.backfill",
    "changeover.executors.preflight",
    "changeover.executors.provision",
    "changeover.lab",
    "changeover.runner.deployment.forecast",
    "changeover.runner.rehearse",
)
PATH = """
import sys
from changeover import inventory
from changeover.remote import line
from changeover.cli import application, desk, rollback
from changeover.runner.context import Context
from changeover.runner.rollback import back
print("\\n".join(sys.modules))
"""


@pytest.mark.parametrize("package", [backup, migrate])
def test_a_package_gives_all_that_it_says(package: ModuleType) -> None:
    for name in package.__all__:
        found = getattr(package, name)
        assert not isinstance(found, ModuleType), name
        assert getattr(package, name) is found

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("package", [backup, migrate])
def test_nothing_is_called_as_a_module_that_may_be_loaded_later(package: ModuleType) -> None:
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}

    assert not {name for name in package.__all__ if name not in vars(package)} & modules


def test_a_name_is_looked_up_in_its_home(monkeypatch: pytest.MonkeyPatch) -> None:
    home = ModuleType("shop.till")
    monkeypatch.setattr(home, "open", "opened", raising=False)
    monkeypatch.setattr(importlib, "import_module", {"shop.till": home}.__getitem__)

    assert lazily.names("shop", {"till": ("open",)})("open") == "opened"


def test_a_way_back_by_renaming_loads_nothing_that_it_does_not_use() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PATH], capture_output=True, text=True, check=True, timeout=60
    )

    loaded = set(ran.stdout.split())
    assert "changeover.runner.rollback.back" in loaded
    assert not loaded.intersection(UNUSED)
