"""Add name, note and tags of SMTP servers."""

import sqlalchemy as sa
from alembic import op

revision = "0092"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("smtp", sa.Column("name", sa.String(length=100), nullable=True))
    op.add_column("smtp", sa.Column("note", sa.String(length=1000), nullable=True))
    op.add_column("smtp", sa.Column("tags", sa.String(length=400), nullable=True))
    op.create_index(op.f("ix_smtp_host_port"), "smtp", ["host", "port"])
