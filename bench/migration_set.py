"""Two hundred small migrations of a shop that grows, and how each tool wants them written down.

Every file has what such files have: a table, a column, an index, a constraint, rows for it. All
tools run the same SQL, in the same order, one file and one transaction each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

THINGS = (
    *("account", "address", "article", "basket", "brand", "campaign", "category", "coupon"),
    *("customer", "delivery", "discount", "employee", "invoice", "order", "parcel", "payment"),
    *("refund", "review", "stock", "supplier"),
)
STEPS = {
    "table": "CREATE TABLE shop_{thing} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
    "    code text NOT NULL UNIQUE,\n    title text NOT NULL,\n    price numeric(12, 2),\n"
    "    created_at timestamptz NOT NULL DEFAULT now()\n);\n"
    "COMMENT ON TABLE shop_{thing} IS 'What the shop knows of each {thing}';",
    "rows": "INSERT INTO shop_{thing} (code, title, price)\n"
    "SELECT '{thing}-' || n, 'The {thing} number ' || n, n * 1.25 FROM generate_series(1, 200) AS n;",
    "index": "CREATE INDEX shop_{thing}_created ON shop_{thing} (created_at);",
    "column": "ALTER TABLE shop_{thing} ADD COLUMN state text;\n"
    "ALTER TABLE shop_{thing} ADD COLUMN extra jsonb NOT NULL DEFAULT '{{}}';",
    "fill": "UPDATE shop_{thing} SET state = 'open' WHERE state IS NULL;",
    "needed": "ALTER TABLE shop_{thing} ALTER COLUMN state SET DEFAULT 'open',\n"
    "    ALTER COLUMN state SET NOT NULL;",
    "check": "ALTER TABLE shop_{thing} ADD CONSTRAINT shop_{thing}_states\n"
    "    CHECK (state IN ('open', 'done', 'gone'));",
    "notes": "CREATE TABLE shop_{thing}_note (\n"
    "    {thing}_id bigint NOT NULL REFERENCES shop_{thing} ON DELETE CASCADE,\n"
    "    place integer NOT NULL,\n    said text NOT NULL,\n    PRIMARY KEY ({thing}_id, place)\n);",
    "view": "CREATE VIEW shop_open_{thing} AS\n"
    "SELECT id, code, title FROM shop_{thing} WHERE state = 'open';",
    "done": "UPDATE shop_{thing} SET state = 'done' WHERE price > 200;\n"
    "DELETE FROM shop_{thing} WHERE price > 240;",
}
COUNT = len(THINGS) * len(STEPS)
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["BENCH_URL"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
{body}
"""


def texts() -> dict[str, str]:
    """Return the SQL of every migration by its name, ``001_account_table`` and on."""
    wanted = [(thing, step) for thing in THINGS for step in STEPS]
    return {
        f"{number:03}_{thing}_{step}": STEPS[step].format(thing=thing) + "\n"
        for number, (thing, step) in enumerate(wanted, 1)
    }


def write(place: Path) -> None:
    """Write the set below ``place``, a folder a tool: plain, changeover, dbmate, yoyo, alembic, sqitch."""
    for tool in (
        "plain",
        "changeover/expand",
        "dbmate",
        "yoyo",
        "alembic/versions",
        "sqitch/deploy",
    ):
        (place / tool).mkdir(parents=True)
    (place / "alembic/env.py").write_text(ENV)
    plan = ["%syntax-version=1.0.0", "%project=shop", ""]
    before = None
    for name, text in texts().items():
        (place / "plain" / f"{name}.sql").write_text(text)
        (place / "changeover/expand" / f"{name}.sql").write_text(text)
        (place / "dbmate" / f"{name}.sql").write_text(f"-- migrate:up\n{text}\n-- migrate:down\n")
        (place / "yoyo" / f"{name}.sql").write_text(text)
        (place / "sqitch/deploy" / f"{name}.sql").write_text(f"BEGIN;\n{text}COMMIT;\n")
        plan.append(f"{name} 2026-01-01T00:00:00Z Bench <bench@example.org>")
        (place / "alembic/versions" / f"{name}.py").write_text(_revision(name, before, text))
        before = name
    (place / "sqitch/sqitch.plan").write_text("\n".join(plan) + "\n")
    files = sorted((place / "plain").iterdir())
    script = "".join(f"BEGIN;\n\\i {file}\nCOMMIT;\n" for file in files)
    (place / "plain.psql").write_text(script)


def _revision(name: str, before: str | None, text: str) -> str:
    statements = [part.strip() for part in text.split(";\n") if part.strip()]
    body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
    return REVISION.format(revision=name, before=before, body=body)
