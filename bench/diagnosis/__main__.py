"""``python -m bench.diagnosis``: right, generic and misleading per label, and the confusions.

Exits with 1 where a figure is under its floor. The rows that are held back are only counted: what
holds for the seen part alone is over-fitted.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict

from smtpweb.mailcheck import Encryption, Stage

from .corpus import Labelled, Wording, replies, wordings
from .scripted import Script, check

FLOOR_RIGHT = 0.88
CEILING_MISLEADING = 0.02
FLOOR_SUBMISSION = 0.97
MAX_GAP = 0.10  # between the seen and the held-back part


def main() -> int:
    """Measure, print, and compare with the floors."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--show", action="store_true", help="list what is not right (seen part)")
    arguments.add_argument("--no-floor", action="store_true", help="only measure")
    given = arguments.parse_args()
    scores: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    confusions: Counter[tuple[str, str]] = Counter()
    for row in replies():
        code = check(script_of(row)).code
        verdict = row.verdict(code)
        scores[row.held_back][verdict] += 1
        by_label[row.label][verdict] += 1
        if verdict != "right" and not row.held_back:
            confusions[row.label, code] += 1
            if given.show:
                print(f"{verdict:10} {row.label[:44]:44} {code:30} {'|'.join(row.lines)[:150]}")
    for label, counted in sorted(by_label.items()):
        print(f"{label[:66]:66} " + "  ".join(f"{name} {counted[name]:3}" for name in VERDICTS))
    print("\nconfusions (seen part)")
    for (label, code), times in confusions.most_common(10):
        print(f"{times:3}  {label[:60]:60}  {code}")
    print()
    shares = {part: shares_of(counted) for part, counted in scores.items()}
    for part, name in ((False, "seen"), (True, "held back")):
        share = shares[part]
        print(f"{name:10} {scores[part].total():4} replies: "
              + ", ".join(f"{verdict} {share[verdict]:.1%}" for verdict in VERDICTS))  # fmt: skip
    submission = Counter(wording.verdict(check(script_of(wording)).code) for wording in wordings())
    share = shares_of(submission)
    print(f"{'submission':10} {submission.total():4} wordings: "
          + ", ".join(f"{verdict} {share[verdict]:.1%}" for verdict in VERDICTS))  # fmt: skip
    fine = (
        shares[False]["right"] >= FLOOR_RIGHT
        and shares[False]["misleading"] <= CEILING_MISLEADING
        and shares[True]["right"] >= shares[False]["right"] - MAX_GAP
        and share["right"] >= FLOOR_SUBMISSION
    )
    return 0 if fine or given.no_floor else 1


VERDICTS = ("right", "generic", "misleading")


def shares_of(counted: Counter[str]) -> dict[str, float]:
    """The share of each verdict."""
    return {verdict: counted[verdict] / max(counted.total(), 1) for verdict in VERDICTS}


def script_of(row: Labelled | Wording) -> Script:
    """A server that says ``row``: one for incoming mail, or one for submission."""
    if isinstance(row, Wording):
        no_login = row.stage is not Stage.AUTH and any("LOGIN" in part for part in row.causes)
        plain = any("STARTTLS" in part for part in row.causes)
        return Script(
            row.stage, list(row.lines), host=row.host, auth=not no_login,
            encryption=Encryption.NONE if plain else Encryption.STARTTLS,
            username="b@example.com", mail_from="a@example.com", rcpt_to="b@example.net",
        )  # fmt: skip
    if row.stage is Stage.AUTH:
        return Script(row.stage, list(row.lines))
    return Script(
        row.stage, list(row.lines), host="mx.example.net", port=25,
        encryption=Encryption.NONE, auth=False,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
