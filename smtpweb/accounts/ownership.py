"""Who may see an app, its SMTP servers and their checks.

Every query made for a user starts from one of these selects. To that user, other rows do not
exist.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, contains_eager

from ..database.models import AlarmChannel, App, Check, Smtp

# For commands of the administrator, which list the apps of all users with their owners.
owner_id: InstrumentedAttribute[str] = App.user_id


def may_see_app(user_id: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """The condition, for a WHERE or a JOIN on ``App``, that the user may see the app."""
    return App.user_id == user_id


def visible_apps(user_id: str) -> Select[App]:
    """The apps that the user may see."""
    return select(App).where(may_see_app(user_id))


def visible_smtps(user_id: str) -> Select[Smtp]:
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


def visible_channels(user_id: str) -> Select[AlarmChannel]:
    """The alarm channels that the user may see: their own, each with its app if it is of one."""
    return (
        select(AlarmChannel)
        .outerjoin(AlarmChannel.app)
        .options(contains_eager(AlarmChannel.app))
        .where(AlarmChannel.user_id == user_id)
    )
