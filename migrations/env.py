"""Run migrations: each upgrade is one transaction on both databases, one process at a time."""

from alembic import context
from flask import current_app
from sqlalchemy import text
from sqlalchemy.engine import Connection

from smtpweb.database.session import Base, Sealed, UtcDateTime, write_option

_LOCK = 0x736D7470  # an arbitrary number for our advisory lock


def render_item(kind, item, _autogen_context):
    """Render plain column types in revisions: these must not change when our own types do."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Sealed):
        return f"sa.String({item.impl.length})"
    return False


def run(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=render_item,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if not sqlite:
            # If two processes start at once, the second waits here and then finds nothing to do.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.run_migrations()
        if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise RuntimeError(f"the migration left a broken reference: {tuple(broken)}")


engine = current_app.extensions["migrate"].db.engine
with engine.connect().execution_options(**write_option(seconds=60)) as connection:
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        # On SQLite, altering a table copies and drops it; with foreign keys on, the drop would
        # delete rows of other tables. The pragma works only outside a transaction.
        driver.execute("PRAGMA foreign_keys=OFF")
    try:
        run(connection)
    finally:
        connection.invalidate()  # it must not be reused with these settings
