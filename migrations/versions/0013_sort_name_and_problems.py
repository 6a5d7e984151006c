"""Lists of very many apps: the name to sort by, and an index of the servers with a problem."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PROBLEM = sa.text("off_since IS NULL AND (NOT enabled OR uncheckable IS NOT NULL)")


def upgrade():
    op.add_column(
        "app", sa.Column("sort_name", sa.String(length=200), nullable=False, server_default="")
    )
    op.execute("UPDATE app SET sort_name = lower(name)")
    op.create_index(
        op.f("ix_app_user_id_sort_name_id"), "app", ["user_id", "sort_name", "id"], unique=False
    )
    op.create_index(
        "ix_smtp_problem", "smtp", ["app_id"], sqlite_where=PROBLEM, postgresql_where=PROBLEM
    )
