"""Keep the packages that hosts install: downloaded once, since hosts have no network to do it."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.lab.image import digest_of
from changeover.lab.programs import run
from changeover.lab.sources import SUITE, own_sources, write_sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from changeover.lab.programs import Progress

DOWNLOAD_SECONDS = 600
INDEX_SECONDS = 120
PREFIX = "mirror-"


def build_mirror(cache: Path, image: Path, packages: Sequence[str], progress: Progress) -> Path:
    """Return the directory with these packages and all they need beyond the image, indexed.

    The caller holds the cache's lock. This machine's own apt does the download, told that the
    image's packages are the installed ones: so its proxies and credentials serve, and none is copied.
    """
    mirror = cache / (PREFIX + digest_of("mirror", image.name, packages))
    if mirror.is_dir():
        return mirror
    began = time.monotonic()
    progress(f"downloading {counted(len(packages), 'package')} and what they need")
    partial = cache / f".{mirror.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    configuration = configure(partial, image)
    apt = {"APT_CONFIG": str(configuration), "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", seconds=DOWNLOAD_SECONDS, environment=apt)
    options = ("--yes", "--no-install-recommends", "--download-only")
    words = ("apt-get", "install", *options, *packages)
    run(*words, seconds=DOWNLOAD_SECONDS, environment=apt)
    downloaded = partial / "archives"
    shutil.rmtree(downloaded / "partial", ignore_errors=True)
    (downloaded / "lock").unlink(missing_ok=True)
    scan = ("dpkg-scanpackages", "--hash", "sha256", "--multiversion", ".")
    index = run(*scan, seconds=INDEX_SECONDS, directory=downloaded)
    (downloaded / "Packages").write_text(index)
    downloaded.chmod(0o755)
    downloaded.rename(mirror)
    shutil.rmtree(partial)
    count = len(list(mirror.glob("*.deb")))
    progress(f"the mirror has {counted(count, 'package')} after {time.monotonic() - began:.0f} s")
    return mirror


def configure(partial: Path, image: Path) -> Path:
    """Write an apt configuration under which the image's packages are the installed ones."""
    for directory in ("lists/partial", "archives/partial", "state"):
        (partial / directory).mkdir(parents=True)
    sources = own_sources(SUITE) or dict(image_sources(image))
    write_sources(partial / "sources", sources)
    settings = {
        "Dir::State": partial / "state",
        "Dir::State::lists": partial / "lists",
        "Dir::State::status": image / "var/lib/dpkg/status",
        "Dir::Cache": partial,
        "Dir::Cache::archives": partial / "archives",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": partial / "sources",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "root",
        "APT::Keep-Downloaded-Packages": "true",
    }
    file = partial / "apt.conf"
    file.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    return file


def image_sources(image: Path) -> dict[str, str]:
    """Return the sources that the image was built from, where this machine has none of the suite."""
    kept = image.with_name(f"{image.name}.sources")
    return {file.name: file.read_text() for file in sorted(kept.glob("*"))} if kept.is_dir() else {}
