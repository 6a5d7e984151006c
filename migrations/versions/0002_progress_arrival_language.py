"""Add progress and arrival of checks, the language of accounts, and whether a check has counted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    # Nullable columns are added in place, on SQLite too: the tables are not copied.
    op.add_column("check", sa.Column("progress", sa.JSON(), nullable=True))
    op.add_column("check", sa.Column("arrival_digest", sa.String(length=64), nullable=True))
    op.add_column("check", sa.Column("arrived", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_check_arrival_digest"), "check", ["arrival_digest"], unique=True)
    op.add_column("user", sa.Column("language", sa.String(length=10), nullable=True))
    # A new column that is not nullable needs a default for existing rows.
    op.add_column(
        "smtp", sa.Column("settings_version", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "smtp", sa.Column("judged", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute("UPDATE smtp SET settings_version = version")
    op.execute(
        sa.text(
            'UPDATE smtp SET judged = :yes WHERE EXISTS (SELECT 1 FROM "check"'
            ' WHERE "check".smtp_id = smtp.id AND "check".smtp_version = smtp.version'
            ' AND "check".applied = :yes)'
        ).bindparams(sa.bindparam("yes", True, sa.Boolean()))
    )
