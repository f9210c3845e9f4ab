"""Write each role's README from its argument specs; with --check, tell which are out of date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
SPECS = "meta/argument_specs.yml"


def as_yaml(value: object) -> str:
    """Return a default as it would stand in YAML, on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    )


def row(name: str, option: dict[str, Any]) -> str:
    """Return one variable's line of the table."""
    kind = option["type"]
    if option.get("elements"):
        kind = f"{kind} of {option['elements']}"
    if option.get("choices"):
        kind = " or ".join(f"`{choice}`" for choice in option["choices"])
    default = "required" if option.get("required") else f"`{as_yaml(option.get('default'))}`"
    meaning = option["description"] + (" Secret." if option.get("no_log") else "")
    cells = (f"`{name}`", kind, default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def readme(role: Path) -> str:
    """Return the README of a role."""
    specs = yaml.safe_load((role / SPECS).read_text(encoding="utf-8"))["argument_specs"]["main"]
    lines = [f"# {role.name}", "", specs["description"], ""]
    lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
    lines += [row(name, option) for name, option in specs["options"].items()]
    lines += ["", "Examples stand beside the defaults in `defaults/main.yml`.", ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write or check every README; the exit code is the number of stale ones, at most 1."""
    stale = []
    for role in sorted(path.parent.parent for path in ROLES.glob(f"*/{SPECS}")):
        target, text = role / "README.md", readme(role)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(role.name)
        if "--check" not in arguments:
            target.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run scripts/role_readmes.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
