from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changeover import bundle
from changeover.bundle import BundleMissing, BundleTampered, SignatureUnknown, signature
from changeover.errors import CheckRed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import Project

Entries = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def made(project: Project, signing_key: Path) -> Path:
    release = project.releases["2.0.0"]
    return bundle.build(project.root, project.app, release, signing_key).path


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(
    made: Path, signers: list[str], tmp_path: Path, place: float, bit: int
) -> None:
    content = bytearray(made.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    changed = tmp_path / made.name
    changed.write_bytes(content)
    signature_file = tmp_path / f"{made.name}.sig"
    signature_file.write_bytes(made.with_name(signature_file.name).read_bytes())
    with pytest.raises(BundleTampered, match="it is not what was signed"):
        bundle.verify(changed, signers)


def test_what_is_cut_or_appended_is_noticed(made: Path, signers: list[str]) -> None:
    whole = made.read_bytes()
    for content in (whole[:-1], whole + b"\0", b""):
        made.write_bytes(content)
        with pytest.raises(BundleTampered):
            bundle.verify(made, signers)


def test_a_changed_signature_is_noticed(made: Path, signers: list[str]) -> None:
    file = made.with_name(f"{made.name}.sig")
    lines = file.read_text().splitlines()
    lines[2] = lines[2][:10] + ("A" if lines[2][10] != "A" else "B") + lines[2][11:]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckRed):
        bundle.verify(made, signers)


def test_another_s_signature_is_not_trusted(
    made: Path, signers: list[str], project: Project
) -> None:
    other = project.root / "keys/other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    made.with_name(f"{made.name}.sig").write_bytes(signature.sign(made, other))
    with pytest.raises(SignatureUnknown, match="does not trust") as caught:
        bundle.verify(made, signers)
    assert caught.value.exit_code == 6


def test_a_bundle_without_signature_or_without_file_is_told(made: Path, signers: list[str]) -> None:
    made.with_name(f"{made.name}.sig").unlink()
    with pytest.raises(SignatureUnknown, match="has no signature beside it"):
        bundle.verify(made, signers)
    with pytest.raises(BundleMissing):
        bundle.verify(made.with_name("absent.bundle"), signers)


def test_nobody_is_trusted_where_nobody_is_named(made: Path) -> None:
    with pytest.raises(SignatureUnknown):
        bundle.verify(made, [])


def rewrite(path: Path, key: Path, change: Callable[[Entries], Entries]) -> Path:
    """Sign a bundle whose members are not those of its manifest."""
    with tarfile.open(path) as archive:
        entries = [
            (entry, stream.read()) for entry in archive if (stream := archive.extractfile(entry))
        ]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for entry, content in change(entries):
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    forged = path.with_name("forged.bundle")
    forged.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    forged.with_name("forged.bundle.sig").write_bytes(signature.sign(forged, key))
    return forged


def other_content(entries: Entries) -> Entries:
    return [(entry, b"x" if entry.name == "code/src/hello.js" else was) for entry, was in entries]


def one_more(entries: Entries) -> Entries:
    return [*entries, (tarfile.TarInfo("code/src/more.js"), b"x")]


def one_less(entries: Entries) -> Entries:
    return entries[:-1]


def twice(entries: Entries) -> Entries:
    return [*entries, entries[-1]]


def manifest_last(entries: Entries) -> Entries:
    return [*entries[1:], entries[0]]


def a_link(entries: Entries) -> Entries:
    link = tarfile.TarInfo("code/src/hello.js")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return [(link, b"") if entry.name == link.name else (entry, was) for entry, was in entries]


def other_mode(entries: Entries) -> Entries:
    entries[-1][0].mode = 0o755
    return entries


def manifest_of_another_format(entries: Entries) -> Entries:
    entry, content = entries[0]
    return [(entry, content.replace(b'"format":1', b'"format":2')), *entries[1:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_content, "code/src/hello.js is not as its manifest says"),
        (one_more, "code/src/more.js is not in its manifest"),
        (one_less, "units/worker.service is missing"),
        (twice, "units/worker.service is not in its manifest"),
        (manifest_last, "it does not begin with a manifest"),
        (a_link, "code/src/hello.js is not in its manifest"),
        (other_mode, "units/worker.service is not as its manifest says"),
        (manifest_of_another_format, "its manifest is not of format 1"),
    ],
)
def test_even_a_signed_bundle_is_held_to_its_manifest(
    made: Path,
    signing_key: Path,
    signers: list[str],
    change: Callable[[Entries], Entries],
    said: str,
) -> None:
    forged = rewrite(made, signing_key, change)
    with pytest.raises(BundleTampered, match=said):
        bundle.verify(forged, signers)


def test_a_signed_file_that_is_no_archive_is_refused(
    made: Path, signing_key: Path, signers: list[str]
) -> None:
    made = made.with_name("other.bundle")
    made.write_bytes(b"not an archive")
    made.with_name("other.bundle.sig").write_bytes(signature.sign(made, signing_key))
    with pytest.raises(BundleTampered, match="it is not a bundle"):
        bundle.verify(made, signers)


def test_a_bundle_under_another_s_name_is_refused(made: Path, signers: list[str]) -> None:
    other = made.with_name("hello-2.0.0-00000000.bundle")
    made.with_name(f"{made.name}.sig").rename(other.with_name(f"{other.name}.sig"))
    made.rename(other)
    with pytest.raises(BundleTampered, match="its digest begins with"):
        bundle.verify(other, signers)
