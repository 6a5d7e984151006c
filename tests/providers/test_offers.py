"""Offers are valid, and no figure is shown without a source that was read within a year."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest

from smtpweb.providers import offers, presets
from smtpweb.providers.offers import BadOffer, Offer

TODAY = date.today()


@pytest.mark.parametrize("offer", offers.offers(), ids=lambda offer: offer.preset.id)
def test_offer_was_checked_within_a_year(offer: Offer) -> None:
    assert offer.checked is None or timedelta(0) <= TODAY - offer.checked <= offers.VALID_FOR, (
        f"read {offer.source} again, and correct offers.toml"
    )


@pytest.mark.parametrize("offer", offers.offers(), ids=lambda offer: offer.preset.id)
def test_offer_agrees_with_the_preset(offer: Offer) -> None:
    assert offer.takes_passwords == (offer.preset.passwords != "refused")


def test_offers_include_the_services_that_people_look_for() -> None:
    wanted = {
        "gmail", "outlook", "ses", "brevo", "sendpulse", "sendgrid", "elastic-email",
        "mailersend", "mailjet", "mailgun", "mailtrap",
    }  # fmt: skip
    listed = [offer.preset.id for offer in offers.offers()]
    assert wanted <= set(listed)
    assert len(listed) == len(set(listed))


GOOD = {
    "id": "brevo",
    "sign_up": "https://www.brevo.com/",
    "login": "password",
    "per_day": 300,
    "source": "https://www.brevo.com/pricing/",
    "checked": date(2026, 8, 13),
}


def text(**changes: object) -> str:
    entry = {name: value for name, value in (GOOD | changes).items() if value is not None}
    lines = (
        f"{name} = {value if isinstance(value, date | int | float) else repr(value)}"
        for name, value in entry.items()
    )
    return "[[offer]]\n" + "\n".join(lines)


def test_offer_of_the_file_is_read() -> None:
    (offer,) = offers.read(text())
    assert offer.preset is presets.of_id("brevo")
    assert (offer.per_day, offer.checked) == (300, date(2026, 8, 13))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "nobody"},
        {"sign_up": None},
        {"sign_up": "http://www.brevo.com/"},
        {"sign_up": "javascript:alert(1)"},
        {"login": "magic"},
        {"source": None},
        {"checked": None},
        {"checked": "soon"},
        {"per_day": 0},
        {"per_day": -5},
        {"per_day": 3.5},
        {"per_day": "many"},
        {"per_day": None, "days": 60},
        {"sandbox": "always"},
        {"per_day": None, "sandbox": "only", "source": None},
        {"limit": 300},
    ],
)
def test_offer_without_a_dated_source_or_otherwise_wrong_is_refused(
    changes: dict[str, object],
) -> None:
    with pytest.raises(BadOffer, match=str((GOOD | changes)["id"])):
        offers.read(text(**changes))


def test_offer_is_dated_for_a_year() -> None:
    (offer,) = offers.read(text())
    assert offer.is_dated(date(2026, 8, 13))
    assert offer.is_dated(date(2027, 8, 13))
    assert not offer.is_dated(date(2027, 8, 14))
    assert not dataclasses.replace(offer, checked=None).is_dated(TODAY)
