"""Count started work against its user's limits; compare names of accounts by NFKC."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

users = sa.table("user", sa.column("id"), sa.column("name"), sa.column("name_key"))


def upgrade():
    op.create_table(
        "started_work",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_started_work_user_id_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_started_work")),
    )
    op.create_index(
        op.f("ix_started_work_user_id_kind_started"),
        "started_work",
        ["user_id", "kind", "started"],
        unique=False,
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(users).order_by(users.c.id)).all()
    taken = {row.name_key for row in rows}
    for row in rows:
        key = _key(row.name)
        # If two names have become equal, both keep their old keys and can still sign in: signing
        # in looks for the name as it was typed first.
        if key in taken or len(key) > 200:
            continue
        connection.execute(users.update().where(users.c.id == row.id).values(name_key=key))
        taken.add(key)


def _key(name):
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold()).strip()
