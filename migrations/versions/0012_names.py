"""Add names of SMTP servers, and what it takes to undo an act."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("smtp", sa.Column("name", sa.String(length=100), nullable=True))
    op.add_column("smtp", sa.Column("note", sa.String(length=1000), nullable=True))
    op.add_column("smtp", sa.Column("tags", sa.String(length=400), nullable=True))
    op.create_index(op.f("ix_smtp_host_port"), "smtp", ["host", "port"])
    op.add_column("app", sa.Column("removed", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_app_removed"), "app", ["removed"])
    op.create_table(
        "undoable_act",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_undoable_act_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undoable_act")),
    )
    op.create_index(op.f("ix_undoable_act_user_id"), "undoable_act", ["user_id"])
    op.create_index(op.f("ix_undoable_act_created"), "undoable_act", ["created"])
    op.add_column("check", sa.Column("cancelled", sa.DateTime(timezone=True), nullable=True))
    op.add_column("check", sa.Column("recipient", sa.String(length=254), nullable=True))
