"""Keep what the texts of a cause name beside its code, so that lists can say it in any language."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("check", sa.Column("facts", sa.JSON(), nullable=True))
