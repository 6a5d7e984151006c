"""Index checks by age; mark user names that are as secret as the password."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(op.f("ix_check_started"), "check", ["started"])
    # Null: not known yet. Passwords are sealed, so `installation` decides it at the next start.
    op.add_column("smtp", sa.Column("username_is_secret", sa.Boolean(), nullable=True))
