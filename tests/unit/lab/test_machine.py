from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres.moments import until

from changeover.lab import machine
from changeover.lab.groups import group_directories
from changeover.lab.image import image_digest, read_packages
from changeover.lab.overlay import discard, mount_root
from changeover.lab.programs import ProgramFailed, run

CHECKOUT = Path(__file__).resolve().parents[3]


def test_a_user_who_is_not_root_reads_one_sentence_and_the_command(tmp_path: Path) -> None:
    # the interpreter may lie where only root looks: another user, with the right to read
    caps = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    done = subprocess.run(
        ["setpriv", "--reuid=65534", *caps, sys.executable, "-m", "changeover", "lab", "up"],
        cwd=CHECKOUT,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "must be root" in done.stderr
    assert "sudo changeover lab up" in done.stderr
    assert done.stdout == ""


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(machine.LabImpossible, match="needs Linux"):
        machine.require(print)


def test_a_machine_without_apt_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(machine.LabImpossible, match="systemd-container") as impossible:
        machine.require(print)
    assert impossible.value.exit_code == 2


def test_a_disk_that_is_an_overlay_itself_is_refused(tmp_path: Path) -> None:
    for name in ("lower", "root"):
        (tmp_path / name).mkdir()
    root = mount_root(tmp_path, [tmp_path / "lower"], "0001")
    try:
        with pytest.raises(machine.LabImpossible, match="overlay"):
            machine.require_disk(root / "labs")
    finally:
        discard(root)
    machine.require_disk(tmp_path / "labs")


def test_hosts_get_groups_in_the_hierarchies_that_systemd_reads() -> None:
    mounts = (
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )
    assert [str(path) for path in group_directories("m", mounts)] == [
        "/sys/fs/cgroup/systemd/changeover-m",
        "/sys/fs/cgroup/unified/changeover-m",
    ]


def test_the_image_s_name_follows_its_packages_but_not_their_order(tmp_path: Path) -> None:
    listed = tmp_path / "image.txt"
    listed.write_text("# why\nsudo  # reason\n\ncron\nage\nacl\nsudo\njq\n")
    assert read_packages(listed) == ("acl", "age", "cron", "jq", "sudo")
    assert image_digest(("acl", "sudo")) != image_digest(("acl",))


def test_a_program_past_its_deadline_is_ended_with_all_it_started(tmp_path: Path) -> None:
    told = tmp_path / "process"
    with pytest.raises(ProgramFailed, match="did not end within"):
        run("sh", "-c", f"sleep 600 & echo $! > {told}; sleep 600", seconds=1)
    until(lambda: not Path("/proc", told.read_text().strip(), "exe").exists())


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(ProgramFailed) as failed:
        run("sh", "-c", "echo first; echo why >&2; exit 3")
    assert "status 3" in failed.value.message
    assert failed.value.cause == "why"
