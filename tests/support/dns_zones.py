"""Zones for tests of what DNS says about a sender domain."""

from __future__ import annotations

from tests.support.fake_dns import Records

# In order, for email through Microsoft 365
GOOD: Records = {
    ("shop.example", "MX"): ["10 mail.shop.example."],
    ("shop.example", "TXT"): [
        '"verification=1"',
        '"v=spf1 include:spf.protection.outlook.com " "-all"',
    ],
    ("spf.protection.outlook.com", "TXT"): ['"v=spf1 ip4:40.92.0.0/15 -all"'],
    ("selector1._domainkey.shop.example", "TXT"): ['"v=DKIM1; k=rsa; p=MIIBIjANBgkq"'],
    ("_dmarc.shop.example", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@shop.example"'],
}
