"""Who may see an app, its SMTP servers and their checks.

Every query made for a user starts from one of these selects. To that user, other rows do not
exist.
"""

from __future__ import annotations

from sqlalchemy import BindParameter, ColumnElement, Select, SQLColumnExpression, and_, select
from sqlalchemy.orm import InstrumentedAttribute, contains_eager

from ..database.models import AlarmChannel, App, Check, Smtp

# For commands of the administrator, which list the apps of all users with their owners.
owner_id: InstrumentedAttribute[str] = App.user_id


# The condition, for a WHERE of what is done for all users, that an app is not deleted.
is_kept: ColumnElement[bool] = App.removed.is_(None)


def may_see_app(user_id: str | SQLColumnExpression[str]) -> ColumnElement[bool]:
    """The condition, for a WHERE or a JOIN on ``App``, that the user may see the app."""
    return and_(App.user_id == user_id, is_kept)


def removed_apps(user_id: str) -> Select[App]:
    """The apps that the user has deleted and that can still be restored."""
    return select(App).where(App.user_id == user_id, App.removed.is_not(None))


def visible_apps(user_id: str | SQLColumnExpression[str]) -> Select[App]:
    """The apps that the user may see."""
    return select(App).where(may_see_app(user_id))


def apps_of_owner(app: App) -> Select[App]:
    """All apps of an app's owner, also those that are deleted."""
    return select(App).where(App.user_id == app.user_id)


def visible_smtps(user_id: str | SQLColumnExpression[str]) -> Select[Smtp]:
    """The SMTP servers that the user may see, each with its app."""
    return select(Smtp).join(Smtp.app).options(contains_eager(Smtp.app)).where(may_see_app(user_id))


def visible_checks(user_id: str) -> Select[Check]:
    """The checks that the user may see, each with its server and app."""
    return (
        select(Check)
        .join(Check.smtp)
        .join(Smtp.app)
        .options(contains_eager(Check.smtp).contains_eager(Smtp.app))
        .where(may_see_app(user_id))
    )


def visible_channels(user_id: str | BindParameter[str]) -> Select[AlarmChannel]:
    """Select the alarm channels that the user may see, with the app of each, if any."""
    return (
        select(AlarmChannel)
        .outerjoin(AlarmChannel.app)
        .options(contains_eager(AlarmChannel.app))
        .where(AlarmChannel.user_id == user_id)
    )
