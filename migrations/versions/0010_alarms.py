"""Alarm channels, events and deliveries; when certificates and passwords expire."""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade():
    for name in ("certificate_expires", "passwordexpires"):
        op.add_column("smtp", sa.Column(name, TIME, nullable=True))
        known = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_smtp_{name}", "smtp", [name], sqlite_where=known, postgresql_where=known
        )
    lasting = sa.text("degraded_since IS NOT NULL")
    op.create_index(
        "ix_smtp_degraded_since",
        "smtp",
        ["degraded_since"],
        sqlite_where=lasting,
        postgresql_where=lasting,
    )
    channel = op.create_table(
        "alarm_channel",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("app_id", sa.String(length=24), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("target_sealed", sa.String(length=8192), nullable=True),
        sa.Column("shown", sa.String(length=300), nullable=False),
        sa.Column("secret_sealed", sa.String(length=8192), nullable=True),
        sa.Column("events", sa.String(length=100), nullable=False),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_until", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("weekly_at", TIME, nullable=True),
        sa.Column("off_since", TIME, nullable=True),
        sa.Column("off_reason", sa.String(length=10), nullable=True),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("last_at", TIME, nullable=True),
        sa.Column("last_delivered", sa.Boolean(), nullable=True),
        sa.Column("last_result", sa.String(length=300), nullable=True),
        sa.Column("created", TIME, nullable=False),
        sa.Column("modified", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"], ["app.id"], name=op.f("fk_alarm_channel_app_id_app"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_alarm_channel_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_channel")),
    )
    op.create_index(op.f("ix_alarm_channel_app_id"), "alarm_channel", ["app_id"])
    op.create_index(op.f("ix_alarm_channel_user_id"), "alarm_channel", ["user_id"])
    op.create_index(op.f("ix_alarm_channel_weekly_at"), "alarm_channel", ["weekly_at"])

    op.create_table(
        "alarm_event",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("app_id", sa.String(length=24), nullable=True),
        sa.Column("smtp_id", sa.String(length=24), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("ended", TIME, nullable=True),
        sa.Column("again_at", TIME, nullable=True),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"], ["app.id"], name=op.f("fk_alarm_event_app_id_app"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["smtp_id"], ["smtp.id"], name=op.f("fk_alarm_event_smtp_id_smtp"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_alarm_event_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_event")),
        sa.UniqueConstraint("key", name=op.f("uq_alarm_event_key")),
    )
    op.create_index(op.f("ix_alarm_event_smtp_id_kind"), "alarm_event", ["smtp_id", "kind"])
    op.create_index(op.f("ix_alarm_event_app_id_kind_at"), "alarm_event", ["app_id", "kind", "at"])
    op.create_index(op.f("ix_alarm_event_user_id_at"), "alarm_event", ["user_id", "at"])
    again = sa.text("again_at IS NOT NULL")
    op.create_index(
        "ix_alarm_event_again_at",
        "alarm_event",
        ["again_at"],
        sqlite_where=again,
        postgresql_where=again,
    )

    op.create_table(
        "alarm_delivery",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("event_id", sa.String(length=24), nullable=False),
        sa.Column("channel_id", sa.String(length=24), nullable=True),
        sa.Column("recipient", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("leased_by", sa.String(length=24), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("finished", TIME, nullable=True),
        sa.Column("delivered", sa.Boolean(), nullable=True),
        sa.Column("result", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["alarm_channel.id"],
            name=op.f("fk_alarm_delivery_channel_id_alarm_channel"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["alarm_event.id"],
            name=op.f("fk_alarm_delivery_event_id_alarm_event"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_delivery")),
        sa.UniqueConstraint(
            "event_id",
            "recipient",
            "number",
            name=op.f("uq_alarm_delivery_event_id_recipient_number"),
        ),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_alarm_delivery_due_at",
        "alarm_delivery",
        ["due_at"],
        sqlite_where=due,
        postgresql_where=due,
    )
    op.create_index(
        op.f("ix_alarm_delivery_channel_id_finished"), "alarm_delivery", ["channel_id", "finished"]
    )

    op.create_table(
        "alarm_sweep",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm_sweep")),
    )
    _add_channels(channel)


def _add_channels(channel):
    """Alarms of every account go to its email address, until it says otherwise."""
    moment = datetime.now(UTC)
    connection = op.get_bind()
    ids = connection.execute(sa.text('SELECT id FROM "user" ORDER BY id')).scalars().all()
    for start in range(0, len(ids), 500):
        op.bulk_insert(
            channel,
            [
                {
                    "id": secrets.token_hex(12),
                    "user_id": user_id,
                    "kind": "email",
                    "shown": "",
                    "events": "lost lastlost recovered expiring",
                    "timezone": "UTC",
                    "created": moment,
                    "modified": moment,
                }
                for user_id in ids[start : start + 500]
            ],
        )
