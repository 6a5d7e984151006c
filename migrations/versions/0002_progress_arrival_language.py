"""What pages show of a running check, whether its mail arrived, and the language of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    # Columns that may be empty are added in place, on SQLite too: the tables are not copied.
    op.add_column("check", sa.Column("progress", sa.JSON(), nullable=True))
    op.add_column("check", sa.Column("arrival_digest", sa.String(length=64), nullable=True))
    op.add_column("check", sa.Column("arrived", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_check_arrival_digest"), "check", ["arrival_digest"], unique=True)
    op.add_column("user", sa.Column("language", sa.String(length=10), nullable=True))
