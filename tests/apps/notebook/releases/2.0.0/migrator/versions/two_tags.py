"""Let notes be pinned, and have tags."""

import sqlalchemy as sa
from alembic import op

revision = "two"
down_revision = "one"


def upgrade() -> None:
    """Add what 1.0.0 runs without."""
    op.add_column("notes", sa.Column("pinned", sa.Boolean, server_default=sa.false()))
    op.create_table(
        "tags",
        sa.Column("note", sa.Integer, sa.ForeignKey("notes.id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )


def downgrade() -> None:
    """Take away what 1.0.0 runs without."""
    op.drop_table("tags")
    op.drop_column("notes", "pinned")
