"""What is likely to be wrong with a password, found when it is saved and kept as codes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    # Null where there is a password: it is opened for once at the next start.
    op.add_column("smtp", sa.Column("password_findings", sa.String(length=200), nullable=True))
