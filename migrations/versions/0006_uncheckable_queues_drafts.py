"""Add servers that cannot be checked, queues of checks, and drafts of forms."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("smtp", sa.Column("uncheckable", sa.String(length=80), nullable=True))
    # As the new rule would have decided after the newest check of the current settings.
    op.execute(
        sa.text(
            'UPDATE smtp SET uncheckable = (SELECT last.code FROM "check" AS last'
            " WHERE last.smtp_id = smtp.id AND last.finished IS NOT NULL"
            " AND last.accepted = :no AND last.applied = :no AND last.stage = 'policy'"
            " AND last.smtp_version >= smtp.settings_version"
            ' AND last.started = (SELECT max(newest.started) FROM "check" AS newest'
            " WHERE newest.smtp_id = smtp.id) ORDER BY last.id LIMIT 1)"
        ).bindparams(sa.bindparam("no", False, sa.Boolean()))
    )
    op.create_table(
        "check_queue",
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("owner", sa.String(length=24), nullable=False),
        sa.Column("app_id", sa.String(length=24), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("smtp_ids", sa.JSON(), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waits_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["app_id"], ["app.id"], name=op.f("fk_check_queue_app_id_app"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_check_queue_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_check_queue")),
    )
    op.create_index(op.f("ix_check_queue_app_id"), "check_queue", ["app_id"])
    op.create_table(
        "form_draft",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.String(length=8192), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_form_draft_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form_draft")),
        sa.UniqueConstraint("user_id", "path", name=op.f("uq_form_draft_user_id_path")),
    )
