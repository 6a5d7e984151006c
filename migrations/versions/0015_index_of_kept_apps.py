"""Count the apps of an owner in their index alone: it leaves out deleted ones, as lists do."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KEPT = sa.text("removed IS NULL")


def upgrade():
    op.drop_index(op.f("ix_app_user_id_sort_name_id"), "app")
    op.create_index(
        op.f("ix_app_user_id_sort_name_id"), "app", ["user_id", "sort_name", "id"],
        sqlite_where=KEPT, postgresql_where=KEPT,
    )  # fmt: skip
