"""How SMTP servers get OAuth access tokens, and how checks connect to them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

CONNECTION = (
    ("mechanism", sa.String(length=20)),
    ("ehloname", sa.String(length=255)),
    ("envelopefrom", sa.String(length=254)),
    ("sourceaddress", sa.String(length=45)),
    ("cacertificates", sa.Text()),
    ("certificatepin", sa.String(length=44)),
    ("clientcertificate", sa.Text()),
    ("clientkey_sealed", sa.String(length=30000)),
)


def upgrade():
    op.add_column(
        "smtp",
        sa.Column("uses_oauth", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for name, kind in CONNECTION:
        op.add_column("smtp", sa.Column(name, kind, nullable=True))
    op.create_table(
        "smtp_oauth",
        sa.Column("smtp_id", sa.String(length=24), nullable=False),
        sa.Column("grant", sa.String(length=30), nullable=False),
        sa.Column("provider", sa.String(length=30), nullable=False),
        sa.Column("tenant", sa.String(length=253), nullable=True),
        sa.Column("clientid", sa.String(length=500), nullable=False),
        sa.Column("scope", sa.String(length=1000), nullable=True),
        sa.Column("issuer", sa.String(length=500), nullable=True),
        sa.Column("tokenurl", sa.String(length=500), nullable=False),
        sa.Column("authurl", sa.String(length=500), nullable=True),
        sa.Column("deviceurl", sa.String(length=500), nullable=True),
        sa.Column("clientauth", sa.String(length=10), nullable=False),
        sa.Column("clientsecret_sealed", sa.String(length=20000), nullable=True),
        sa.Column("refreshtoken_sealed", sa.String(length=20000), nullable=True),
        sa.Column("accesstoken_sealed", sa.String(length=40000), nullable=True),
        sa.Column("accesstoken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pending_sealed", sa.String(length=20000), nullable=True),
        sa.Column("renewing_by", sa.String(length=24), nullable=True),
        sa.Column("renewing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["smtp_id"], ["smtp.id"], name=op.f("fk_smtp_oauth_smtp_id_smtp"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("smtp_id", name=op.f("pk_smtp_oauth")),
    )
