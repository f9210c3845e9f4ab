"""Build the image that every host's root starts from, once for each list of packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.lab.overlay import discard
from changeover.lab.programs import run
from changeover.lab.sources import SUITE, fetch_options, own_sources, write_sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.lab.programs import Progress

# part of the digest: to be raised when `finish` changes what an image contains
RECIPE = 1
BUILD_SECONDS = 600
PREFIX = "image-"
FILES = {
    "etc/apt/sources.list": "deb [trusted=yes] file:/srv/apt ./\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
    # hosts are thrown away, so that what a power cut would lose may be lost; pages nobody reads stay out
    "etc/dpkg/dpkg.cfg.d/lab": "force-unsafe-io\npath-exclude=/usr/share/doc/*\n"
    "path-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nSystemMaxUse=64M\nRuntimeMaxUse=16M\n",
}
ENABLED = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "e2scrub_all.timer",
    "fstrim.timer",
)


def read_packages(file: Path) -> tuple[str, ...]:
    """Return the packages a data file lists, one a line, sorted; `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return tuple(sorted({line for line in lines if line}))


def digest_of(*parts: str | Sequence[str]) -> str:
    """Return the 16 hexadecimal digits that name what is built from these inputs."""
    text = "\0".join(part if isinstance(part, str) else "\n".join(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image_digest(packages: Sequence[str]) -> str:
    """Return the digest that names the image with these packages."""
    return digest_of("image", str(RECIPE), SUITE, os.uname().machine, packages)


def build_image(cache: Path, packages: Sequence[str], progress: Progress) -> Path:
    """Return the image with these packages; build it when the cache has none (half a minute).

    The caller holds the cache's lock.
    """
    image = cache / (PREFIX + image_digest(packages))
    if image.is_dir():
        return image
    began = time.monotonic()
    progress(
        f"building the image of {SUITE} with {counted(len(packages), 'package')} and what they need"
    )
    partial = cache / f".{image.name}.partial"
    discard(partial)
    partial.mkdir(parents=True)
    sources = write_sources(partial / "sources", own_sources(SUITE))
    options = partial / "options"
    options.write_text(fetch_options())
    root = partial / "root"
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        f"--aptopt={options}",
        SUITE,
        root,
        *sources,
        seconds=BUILD_SECONDS,
    )
    keep_sources(root, cache / f"{image.name}.sources")
    finish(root)
    root.rename(image)
    shutil.rmtree(partial)
    progress(f"the image is ready after {time.monotonic() - began:.0f} s")
    return image


def keep_sources(root: Path, kept: Path) -> None:
    """Keep the sources an image was built from: the mirror needs them where this machine has none."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    apt = root / "etc/apt"
    for file in (apt / "sources.list", *(apt / "sources.list.d").glob("*")):
        if file.is_file():
            shutil.copy(file, kept / file.name)


def finish(root: Path) -> None:
    """Take out of a new root what must differ from host to host, and set what must not."""
    shutil.rmtree(root / "etc/apt/sources.list.d")
    (root / "etc/apt/sources.list.d").mkdir()
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for leftover in ("99mmdebstrap", "99aptoptions"):
        (root / "etc/apt/apt.conf.d" / leftover).unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
    enabled = root / ENABLED
    enabled.parent.mkdir(parents=True, exist_ok=True)
    enabled.symlink_to("/lib/systemd/system/systemd-networkd.service")
    for unit in MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (root / "srv/apt").mkdir(exist_ok=True)
