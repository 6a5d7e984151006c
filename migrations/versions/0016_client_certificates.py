"""When client certificates expire, so that alarms announce it."""

import sqlalchemy as sa
from alembic import op
from cryptography.x509 import load_pem_x509_certificate

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NAME = "clientcertificate_expires"
SMTP = sa.table(
    "smtp",
    sa.column("id", sa.String),
    sa.column("clientcertificate", sa.Text),
    sa.column(NAME, sa.DateTime(timezone=True)),
)


def upgrade():
    op.add_column("smtp", sa.Column(NAME, sa.DateTime(timezone=True), nullable=True))
    known = sa.text(f"{NAME} IS NOT NULL")
    op.create_index(f"ix_smtp_{NAME}", "smtp", [NAME], sqlite_where=known, postgresql_where=known)
    connection = op.get_bind()
    stored = sa.select(SMTP.c.id, SMTP.c.clientcertificate).where(
        SMTP.c.clientcertificate.is_not(None)
    )
    for smtp_id, pem in connection.execute(stored).all():
        expires = load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        connection.execute(sa.update(SMTP).where(SMTP.c.id == smtp_id).values({NAME: expires}))
