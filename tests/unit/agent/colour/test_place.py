from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import bundles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

APP = "sample"
Members = list[tuple[str, bytes]]


def members(**options: Any) -> Members:  # noqa: ANN401
    files = bundles.files_of(APP, "1.0.0", **options)
    manifest = json.dumps(bundles.manifest_of(APP, "1.0.0", files)).encode()
    return [("manifest.json", manifest), *files.items()]


def everything(root: Path) -> list[str]:
    """Return what a placed or half placed bundle would leave, in directories that are there."""
    tops = ["opt/sample/releases", "etc/changeover/sample", "etc/systemd/system"]
    return sorted(f"{top}/{path.name}" for top in tops for path in (root / top).iterdir())


@pytest.fixture
def kept(machine: Machine) -> list[str]:
    """Return what one placed colour leaves, which is all that a refused bundle may find after it."""
    colour = machine.place("0.9.0")
    found = everything(machine.root)
    assert [path.count(colour) for path in found] == [1, 1, 1]
    return found


def test_a_bundle_becomes_a_colour(machine: Machine) -> None:
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0", code={"a/b.txt": b"hi"})

    answer = machine.do("place", digest=digest, env={"NAME": "value"})

    colour = answer["colour"]
    assert colour == f"1.0.0-{digest[:8]}"
    release = machine.root / "opt/sample/releases" / colour
    assert (release / "code/a/b.txt").read_bytes() == b"hi"
    assert (release / "code/a").stat().st_mode & 0o777 == 0o755
    environment = machine.root / f"etc/changeover/sample/{colour}.env"
    assert environment.read_text() == 'NAME="value"\n'
    assert environment.stat().st_mode & 0o777 == 0o600
    assert (machine.root / f"etc/systemd/system/sample-web@{colour}.service").is_file()
    assert machine.noted.count("daemon-reload") == 1
    assert "start" not in machine.noted
    assert list(machine.incoming.iterdir()) == []
    assert not (machine.root / "var/lib/changeover/sample/staging").exists()


def test_the_same_bundle_again_is_skipped(machine: Machine) -> None:
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0")
    machine.do("place", digest=digest, env={"A": "b"})

    answer = machine.do("place", digest=digest, env={"A": "b"})

    assert answer["skipped"]
    assert not answer["unpacked"]


def test_a_colours_environment_changes_only_while_it_is_down(machine: Machine) -> None:
    colour = machine.up("1.0.0")
    digest = machine.do("state")["releases"][0]["digest"]

    assert machine.refuse("place", digest=digest, env={"A": "c"})["error"] == "colour-in-use"
    machine.do("stop", colour=colour, drain_seconds=1)
    machine.do("place", digest=digest, env={"A": "c"})

    assert (machine.root / f"etc/changeover/sample/{colour}.env").read_text() == 'A="c"\n'


def test_a_colour_of_another_bundle_is_left_as_it_is(machine: Machine) -> None:
    colour = machine.place("1.0.0")
    before = everything(machine.root)
    code = {"app.txt": b"other"}
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0", code=code)

    failure = machine.refuse("place", digest=digest, colour=colour, env={"A": "c"})

    assert failure["error"] == "colour-taken"
    assert machine.do("collect", colour=colour)["env"] == 'A="b"\n'
    assert everything(machine.root) == before


def test_other_values_make_another_colour_of_the_same_bundle(machine: Machine) -> None:
    colour = machine.place("1.0.0")
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0")

    answer = machine.do("place", digest=digest, colour="1.0.0-0a0a0a0a", env={"A": "c"})

    assert answer["colour"] == "1.0.0-0a0a0a0a"
    found = [release["colour"] for release in machine.do("state")["releases"]]
    assert found == sorted([colour, "1.0.0-0a0a0a0a"])
    bundles.make(machine.incoming, machine.key, APP, "1.0.0")
    failure = machine.refuse("place", digest=digest, colour="2.0.0-0a0a0a0a", env={})
    assert failure["error"] == "bundle-invalid"


def entry(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = link
    return made


@pytest.mark.parametrize(
    "extra",
    [
        entry("code/link", tarfile.SYMTYPE, "/etc/shadow"),
        entry("code/hard", tarfile.LNKTYPE, "code/app.txt"),
        entry("code/fifo", tarfile.FIFOTYPE),
        entry("code/device", tarfile.CHRTYPE),
        entry("../outside", tarfile.REGTYPE),
        entry("/etc/cron.d/x", tarfile.REGTYPE),
        entry("code/unlisted", tarfile.REGTYPE),
        entry("code/app.txt", tarfile.REGTYPE),
    ],
    ids=lambda made: made.name,
)
def test_a_member_that_does_not_belong_is_refused(
    machine: Machine, kept: list[str], extra: tarfile.TarInfo
) -> None:
    content = bundles.archive(members(), [extra])
    digest = bundles.write(machine.incoming, content, machine.key)

    failure = machine.refuse("place", digest=digest, env={"A": "b"})

    assert failure["error"] == "bundle-invalid"
    assert everything(machine.root) == kept


def without_manifest(found: Members) -> Members:
    return found[1:]


def edited(found: Members) -> Members:
    return [(name, b"APP\n" if name == "code/app.txt" else content) for name, content in found]


def longer(found: Members) -> Members:
    return [(name, b"longer" if name == "code/app.txt" else content) for name, content in found]


def lacking(found: Members) -> Members:
    return [pair for pair in found if pair[0] != "code/app.txt"]


def other_app(found: Members) -> Members:
    return [("manifest.json", found[0][1].replace(b'"sample"', b'"other"')), *found[1:]]


def climbing(found: Members) -> Members:
    manifest = found[0][1].replace(b"code/app.txt", b"../app.txt")
    named = [(name.replace("code/", "../"), content) for name, content in found[1:]]
    return [("manifest.json", manifest), *named]


def setuid(found: Members) -> Members:
    return [("manifest.json", found[0][1].replace(b"420", b"2541")), *found[1:]]


@pytest.mark.parametrize(
    "spoil", [without_manifest, edited, longer, lacking, other_app, climbing, setuid]
)
def test_a_spoilt_bundle_is_refused_though_signed(
    machine: Machine, kept: list[str], spoil: Callable[[Members], Members]
) -> None:
    digest = bundles.write(machine.incoming, bundles.archive(spoil(members())), machine.key)

    assert machine.refuse("place", digest=digest, env={})["error"] == "bundle-invalid"
    assert everything(machine.root) == kept


def test_a_truncated_bundle_is_refused_though_signed(machine: Machine, kept: list[str]) -> None:
    content = bundles.archive(members(code={"a.bin": os.urandom(50000)}))
    digest = bundles.write(machine.incoming, content[:-20000], machine.key)

    assert machine.refuse("place", digest=digest, env={})["error"] == "bundle-invalid"
    assert everything(machine.root) == kept


def test_a_strangers_signature_is_refused(machine: Machine, tmp_path: Path) -> None:
    stranger = bundles.keypair(tmp_path, "stranger")
    digest = bundles.make(machine.incoming, stranger, APP, "1.0.0")

    assert machine.refuse("place", digest=digest, env={})["error"] == "signature-refused"


def test_a_signature_for_another_purpose_is_refused(machine: Machine) -> None:
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0")
    signature = machine.incoming / f"{digest}.bundle.sig"
    other = bundles.make(machine.incoming, machine.key, APP, "1.0.1")
    signature.write_bytes((machine.incoming / f"{other}.bundle.sig").read_bytes())

    assert machine.refuse("place", digest=digest, env={})["error"] == "signature-refused"


def test_an_upload_that_is_a_link_or_a_pipe_is_not_followed(machine: Machine) -> None:
    secret = machine.root / "secret"
    secret.write_text("root's own")
    digest = "a" * 64
    (machine.incoming / f"{digest}.bundle").symlink_to(secret)
    os.mkfifo(machine.incoming / f"{'b' * 64}.bundle")

    for name in (digest, "b" * 64, "c" * 64):
        assert machine.refuse("place", digest=name, env={})["error"] == "bundle-missing"


def test_a_bundle_that_changed_on_the_way_is_refused(machine: Machine) -> None:
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0")
    with (machine.incoming / f"{digest}.bundle").open("ab") as stream:
        stream.write(b"x")

    assert machine.refuse("place", digest=digest, env={})["error"] == "digest-mismatch"


def test_a_refused_unit_leaves_no_environment_behind(machine: Machine, kept: list[str]) -> None:
    unit = bundles.UNIT.format(app=APP, version="1.0.0", sockets="http")
    unit = unit.replace("User=sample", "User=root")
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0", unit_text=unit)

    assert machine.refuse("place", digest=digest, env={"A": "b"})["error"] == "unit-refused"
    assert everything(machine.root) == kept


def test_an_apps_process_cannot_take_the_name_of_another_apps_unit(
    machine: Machine, kept: list[str]
) -> None:
    files = bundles.files_of(APP, "1.0.0")
    manifest = bundles.manifest_of(APP, "1.0.0", files)
    manifest["processes"]["api-web"] = manifest["processes"].pop("web")
    content = bundles.archive([("manifest.json", json.dumps(manifest).encode()), *files.items()])
    digest = bundles.write(machine.incoming, content, machine.key)

    failure = machine.refuse("place", digest=digest, env={})

    assert failure["error"] == "unit-refused"
    assert everything(machine.root) == kept


def test_leftovers_of_a_crash_are_cleared(machine: Machine) -> None:
    leftover = machine.root / "opt/sample/releases/.unpacking-1.0.0-00000000"
    leftover.mkdir(parents=True)
    (leftover / "half").write_bytes(io.BytesIO(b"x").getvalue())

    machine.place("1.0.0")

    assert not leftover.exists()


@pytest.mark.parametrize("name", ["../x", "/etc", "x y", "1.0.0", "1.0.0-XYZ", ""])
def test_a_colour_is_never_a_path(machine: Machine, name: str) -> None:
    for action in ("start", "stop", "switch", "confirm", "retire", "collect", "logs"):
        assert machine.refuse(action, colour=name)["error"] == "bad-name"
