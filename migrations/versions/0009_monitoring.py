"""Scheduled and queued checks, servers turned off, changes of state, workers, incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade():
    # Constant defaults: PostgreSQL adds such a column without rewriting the table.
    for column in (
        sa.Column("checkevery", sa.Integer(), nullable=False, server_default="60"),
        sa.Column("emailevery", sa.String(length=10), nullable=False, server_default="daily"),
        sa.Column("off_until", TIME, nullable=True),
        sa.Column("off_by", sa.String(length=24), nullable=True),
        sa.Column("off_note", sa.String(length=200), nullable=True),
    ):
        op.add_column("app", column)
    for column in (
        sa.Column("off_since", TIME, nullable=True),
        sa.Column("off_until", TIME, nullable=True),
        sa.Column("off_by", sa.String(length=24), nullable=True),
        sa.Column("off_note", sa.String(length=200), nullable=True),
        sa.Column("degraded_since", TIME, nullable=True),
    ):
        op.add_column("smtp", column)
    limited = sa.text("off_until IS NOT NULL")
    op.create_index(
        "ix_smtp_off_until",
        "smtp",
        ["off_until"],
        sqlite_where=limited,
        postgresql_where=limited,
    )
    for column in (
        sa.Column("kind", sa.String(length=10), nullable=False, server_default="hand"),
        sa.Column("mode", sa.String(length=10), nullable=False, server_default="email"),
        sa.Column("queued", TIME, nullable=True),
        sa.Column("base_url", sa.String(length=300), nullable=True),
    ):
        op.add_column("check", column)
    queued = sa.text("queued IS NOT NULL")
    op.create_index(
        "uq_check_queued",
        "check",
        ["smtp_id"],
        unique=True,
        sqlite_where=queued,
        postgresql_where=queued,
    )
    op.create_index(
        "ix_check_queued_user_id",
        "check",
        ["user_id", "queued"],
        sqlite_where=queued,
        postgresql_where=queued,
    )
    # What is queued are rows of "check" now.
    op.drop_table("check_queue")

    op.create_table(
        "due",
        sa.Column("smtp_id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("next_at", TIME, nullable=True),
        sa.Column("email_at", TIME, nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("leased_by", sa.String(length=24), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["smtp_id"], ["smtp.id"], name=op.f("fk_due_smtp_id_smtp"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("smtp_id", name=op.f("pk_due")),
    )
    op.create_index(op.f("ix_due_next_at_user_id"), "due", ["next_at", "user_id"])
    op.create_index(op.f("ix_due_host_lease_until"), "due", ["host", "lease_until"])

    op.create_table(
        "status_change",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("smtp_id", sa.String(length=24), nullable=False),
        sa.Column("app_id", sa.String(length=24), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("before", sa.String(length=20), nullable=False),
        sa.Column("after", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("check_id", sa.String(length=24), nullable=True),
        sa.Column("cause", sa.String(length=80), nullable=True),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["app_id"], ["app.id"], name=op.f("fk_status_change_app_id_app"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["smtp_id"],
            ["smtp.id"],
            name=op.f("fk_status_change_smtp_id_smtp"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_change")),
    )
    op.create_index(op.f("ix_status_change_smtp_id_at"), "status_change", ["smtp_id", "at"])
    op.create_index(op.f("ix_status_change_app_id_at"), "status_change", ["app_id", "at"])

    op.create_table(
        "maintenance_window",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("app_id", sa.String(length=24), nullable=True),
        sa.Column("smtp_id", sa.String(length=24), nullable=True),
        sa.Column("starts", TIME, nullable=False),
        sa.Column("ends", TIME, nullable=False),
        sa.Column("repeat", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=24), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("created", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["app.id"],
            name=op.f("fk_maintenance_window_app_id_app"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["smtp_id"],
            ["smtp.id"],
            name=op.f("fk_maintenance_window_smtp_id_smtp"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_window")),
    )
    op.create_index(op.f("ix_maintenance_window_app_id"), "maintenance_window", ["app_id"])
    op.create_index(op.f("ix_maintenance_window_smtp_id"), "maintenance_window", ["smtp_id"])

    op.create_table(
        "worker",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("started", TIME, nullable=False),
        sa.Column("seen", TIME, nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_index(op.f("ix_worker_seen"), "worker", ["seen"])

    op.create_table(
        "incident",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("began", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("ended", TIME, nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    # One that lasts for each cause, also where two workers meet it at the same moment.
    lasting = sa.text("ended IS NULL")
    op.create_index(
        "uq_incident_lasting",
        "incident",
        ["cause"],
        unique=True,
        sqlite_where=lasting,
        postgresql_where=lasting,
    )
