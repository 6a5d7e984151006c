"""Facts and times of checks, sums of days, counters for monitoring systems."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# The state of a row of "smtp" as registry/states.py has it.
STATE = (
    "CASE WHEN {row}.off_since IS NOT NULL THEN 'off'"
    " WHEN NOT {row}.enabled THEN 'disabled'"
    " WHEN {row}.uncheckable IS NOT NULL THEN 'uncheckable'"
    " WHEN {row}.degraded_since IS NOT NULL THEN 'degraded'"
    " WHEN {row}.judged THEN 'active' ELSE 'unchecked' END"
)
# The key that a password is sealed under: "v1.", eight digits and a dot.
SEAL = "substr({row}.password_sealed, 1, 12)"
ADD = "INSERT INTO tally (name, label, delta) "


def steps(name, label, old, new):
    """Statements that count a row out of where it was, and into where it is."""
    rows = [("OLD", -1)] * old + [("NEW", 1)] * new
    return " ".join(
        f"{ADD}SELECT '{name}', {label.format(row=row)}, {delta}"
        f" WHERE {label.format(row=row)} IS NOT NULL;"
        for row, delta in rows
    )


def triggers():
    """(table, event, condition, statements) of each."""
    changed = " OR ".join(
        f"{label.format(row='OLD')} IS DISTINCT FROM {label.format(row='NEW')}"
        for label in (STATE, SEAL)
    )
    for event, old, new, condition in (
        ("insert", False, True, None),
        ("delete", True, False, None),
        ("update", True, True, changed),
    ):
        statements = " ".join(
            steps(name, label, old, new) for name, label in (("smtps", STATE), ("seals", SEAL))
        )
        yield "smtp", event, condition, statements
    yield "app", "insert", None, f"{ADD}VALUES ('apps', '', 1);"
    yield "app", "delete", None, f"{ADD}VALUES ('apps', '', -1);"


def upgrade():
    op.add_column("smtp", sa.Column("good_facts", sa.JSON(), nullable=True))
    op.add_column("check", sa.Column("times", sa.JSON(), nullable=True))
    op.add_column("check", sa.Column("changes", sa.JSON(), nullable=True))
    op.create_table(
        "check_day",
        sa.Column("smtp_id", sa.String(length=24), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("other", sa.Integer(), nullable=False),
        sa.Column("times", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["smtp_id"], ["smtp.id"], name=op.f("fk_check_day_smtp_id_smtp"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("smtp_id", "day", name=op.f("pk_check_day")),
    )
    op.create_index(op.f("ix_check_day_day"), "check_day", ["day"])
    op.create_index(op.f("ix_status_change_at"), "status_change", ["at"])
    op.create_table(
        "tally",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("delta", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    # What is there already, and from here on every change, whoever makes it: also a cascade.
    for name, table, label in (
        ("smtps", "smtp", STATE),
        ("seals", "smtp WHERE password_sealed IS NOT NULL", SEAL),
        ("apps", "app", "''"),
    ):
        label = label.format(row="smtp")
        group = f" GROUP BY {label}" if table != "app" else ""
        op.execute(f"{ADD}SELECT '{name}', {label}, count(*) FROM {table}{group}")  # noqa: S608
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, event, condition, statements in triggers():
        name = f"tally_{table}_{event}"
        when = f" WHEN ({condition})" if condition else ""
        if sqlite:
            when = when.replace("IS DISTINCT FROM", "IS NOT")
            op.execute(
                f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW{when}"
                f" BEGIN {statements} END"
            )
        else:
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {statements} RETURN NULL; END $$"
            )
            op.execute(
                f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW{when}"
                f" EXECUTE FUNCTION {name}()"
            )
