"""Wheels made for a test, offered to pip in a folder instead of a registry."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GREETER = {"greeter/__init__.py": 'def main():\n    print("hello", __file__)\n'}


@dataclass(frozen=True)
class Offered:
    """A folder of wheels, and the lock that pins them."""

    folder: Path
    pinned: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        return "".join(f"{each} --hash=sha256:{digest}\n" for each, digest in self.pinned.items())

    def wheel(
        self,
        name: str,
        files: Mapping[str, str],
        *,
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
        scripts: Mapping[str, str] | None = None,
    ) -> None:
        """Make version 1.0 of a package."""
        notes = f"{name}-1.0.dist-info"
        needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n{needs}"
        of_wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        started = "".join(f"{key} = {value}\n" for key, value in (scripts or {}).items())
        content = {
            **files,
            f"{notes}/METADATA": about,
            f"{notes}/WHEEL": of_wheel,
            f"{notes}/entry_points.txt": f"[console_scripts]\n{started}",
        }
        record = "".join(f"{path},,\n" for path in (*content, f"{notes}/RECORD"))
        made = self.folder / f"{name}-1.0-{tag}.whl"
        with zipfile.ZipFile(made, "w") as packed:
            for path, text in {**content, f"{notes}/RECORD": record}.items():
                packed.writestr(path, text)
        self.pinned[f"{name}==1.0"] = hashlib.sha256(made.read_bytes()).hexdigest()
