"""``python -m bench.diagnosis``: right, generic and misleading per label, and the confusions.

Exits with 1 where a figure is under its floor. The rows that are held back are only counted: the
seen part is what phrases and classifier were taught, and says little of a reply of tomorrow.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

from smtpweb.mailcheck import Encryption, Stage
from smtpweb.mailcheck.explain.explanation import explain

from . import outcomes
from .corpus import (
    Labelled,
    Unseen,
    Wording,
    cases,
    collected,
    found,
    fresh,
    replies,
    unseen,
    wordings,
)  # fmt: skip
from .scripted import Script, check, wired
from .wrappers import FIRST_LINE_ALONE, WRAPPERS, Said

FLOOR_RIGHT = 0.88
CEILING_MISLEADING = 0.02
FLOOR_SUBMISSION = 0.97
FLOOR_COUNTED, CEILING_COUNTED = 0.82, 0.05  # of the rows that are only counted
# The same for fresh.tsv and collected.tsv, which leave the common words out
FLOOR_FRESH, CEILING_FRESH = 0.78, 0.08
FLOOR_SUBMITTED, CEILING_SUBMITTED = 0.85, 0.03  # the same for what submission servers say
FLOOR_SIDE, FLOOR_TEMPORARY = 0.95, 0.97
FLOOR_WRAPPED = 0.97  # replies in a wrapper that lead to the cause of the reply alone
MAX_EXPLAIN_GAP = 0.02  # by which ``explain`` may be less right than the check
MAX_GAP = 0.10  # by which the held-back part may be less right than FLOOR_RIGHT


def main() -> int:
    """Measure, print, and compare with the floors."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--show", action="store_true", help="list what is not right (seen part)")
    arguments.add_argument("--no-floor", action="store_true", help="only measure")
    given = arguments.parse_args()
    scores: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    confusions: Counter[tuple[str, str]] = Counter()
    fixed: dict[str, Counter[bool]] = {"side": Counter(), "temporary": Counter()}
    for row in replies():
        report = check(script_of(row))
        code = report.code
        for name, is_right in outcomes.of_label(row.label, report).items():
            fixed[name][is_right] += 1
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
        print(f"{name:15} {scores[part].total():4} replies: "
              + ", ".join(f"{verdict} {share[verdict]:.1%}" for verdict in VERDICTS))  # fmt: skip
    submission = Counter(wording.verdict(check(script_of(wording)).code) for wording in wordings())
    of_submission = shares_of(submission)
    print(f"{'submission':15} {submission.total():4} wordings: "
          + ", ".join(f"{name} {of_submission[name]:.1%}" for name in VERDICTS))  # fmt: skip
    explained = Counter(row.verdict(explained_code(row)) for row in replies() if not row.held_back)
    explained_share = shares_of(explained)
    print(f"{'explain':15} {explained.total():4} replies: "
          + ", ".join(f"{name} {explained_share[name]:.1%}" for name in VERDICTS))  # fmt: skip
    for case_name, case in cases().items():
        report = check(outcomes.script_of_case(case_name, case))
        for name, is_right in outcomes.of_case(case, report).items():
            fixed[name][is_right] += 1
    right_of = {name: counted[True] / counted.total() for name, counted in fixed.items()}
    for name, answers in fixed.items():
        print(f"{name:10} {answers.total():4} labels:  right {right_of[name]:.1%}")
    wrapped = same_cause_in_wrappers()
    for wrapper, same in wrapped.items():
        if same[False]:
            print(f"  in {wrapper}: the same cause in {same[True] / same.total():.1%}")
    all_wrapped = sum(wrapped.values(), Counter[bool]())
    share_wrapped = all_wrapped[True] / all_wrapped.total()
    print(f"{'wrapped':10} {all_wrapped.total():4} texts:   the same cause {share_wrapped:.1%}")
    counted_shares: dict[str, dict[str, float]] = {}
    confused: Counter[tuple[str, str]] = Counter()
    total = scores[True].copy()
    for file, rows in (
        ("unseen", unseen()), ("found", found()), ("fresh", fresh()), ("collected", collected()),
    ):  # fmt: skip
        verdicts = measured(rows, confused, show=given.show)
        total += verdicts[True]
        for part, name in ((False, file), (True, f"{file}, counted")):
            share = shares_of(verdicts[part])
            figures = ", ".join(f"{verdict} {share[verdict]:.1%}" for verdict in VERDICTS)
            print(f"{name:18} {verdicts[part].total():4} replies: {figures}")
        counted_shares[file] = share
    others = (*unseen(), *found(), *fresh(), *collected())
    submitted = measured(row for row in others if row.counted and row.host != "mx")[True]
    of_submitted = shares_of(submitted)
    for name, verdict_counts in (("submission, counted", submitted), ("all counted", total)):
        figures = ", ".join(f"{it} {share:.1%}" for it, share in shares_of(verdict_counts).items())
        print(f"{name:18} {verdict_counts.total():4} replies: {figures}")
    print("\nconfusions (replies that are only counted)")
    for (label, code), times in confused.most_common(10):
        print(f"{times:3}  {label[:60]:60}  {code}")
    fine = (
        shares[False]["right"] >= FLOOR_RIGHT
        and shares[False]["misleading"] <= CEILING_MISLEADING
        and shares[True]["right"] >= FLOOR_RIGHT - MAX_GAP
        and of_submitted["right"] >= FLOOR_SUBMITTED
        and of_submitted["misleading"] <= CEILING_SUBMITTED
        and of_submission["right"] >= FLOOR_SUBMISSION
        and explained_share["right"] >= shares[False]["right"] - MAX_EXPLAIN_GAP
        and right_of["side"] >= FLOOR_SIDE
        and right_of["temporary"] >= FLOOR_TEMPORARY
        and share_wrapped >= FLOOR_WRAPPED
        and all(
            share["right"] >= minimum_of(file)[0] and share["misleading"] <= minimum_of(file)[1]
            for file, share in counted_shares.items()
        )
    )
    return 0 if fine or given.no_floor else 1


def minimum_of(file: str) -> tuple[float, float]:
    """The least share that is right, and the greatest that misleads, of a file's counted rows."""
    if file in ("fresh", "collected"):
        return FLOOR_FRESH, CEILING_FRESH
    return FLOOR_COUNTED, CEILING_COUNTED


VERDICTS = ("right", "generic", "misleading")


def measured(
    rows: Iterable[Unseen], confused: Counter[tuple[str, str]] | None = None, *, show: bool = False
) -> dict[bool, Counter[str]]:
    """Count the verdicts of ``rows``: of the open ones, and of those that are only counted.

    ``confused`` gets the confusions of the latter, without their words.
    """
    fresh: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for row in rows:
        code = check(script_of(row)).code
        verdict = row.verdict(code)
        fresh[row.counted][verdict] += 1
        if verdict != "right" and row.counted and confused is not None:
            confused[row.label, code] += 1
        if show and verdict != "right" and not row.counted:
            print(f"{verdict:10} {row.label[:24]:24} {code:30} {'|'.join(row.lines)[:160]}")
    return fresh


def shares_of(counted: Counter[str]) -> dict[str, float]:
    """The share of each verdict."""
    return {verdict: counted[verdict] / max(counted.total(), 1) for verdict in VERDICTS}


def explained_code(row: Labelled) -> str:
    """The cause that ``explain`` names for ``row``, as Postfix quotes it in its log."""
    command = _COMMANDS.get(row.stage, "")
    text = " ".join(wired(list(row.lines)))
    given = f"host mx.example.net[192.0.2.1] said: {text}"
    if command:
        given += f" (in reply to {command} command)"
    found = explain(given, host="mx.example.net", port=25).diagnosis
    return found.id if found is not None else "SMTP_FAILED"


def same_cause_in_wrappers(step: int = 1) -> dict[str, Counter[bool]]:
    """Count, for each wrapper, whether ``explain`` names the cause of the reply alone.

    Every ``step``-th of the replies that are not held back. The reply alone is given with the
    stage at which it came.
    """
    counted: dict[str, Counter[bool]] = {name: Counter() for name in WRAPPERS}
    seen = [row for row in replies() if not row.held_back][::step]
    for row in seen:
        whole = Said(row.stage, tuple(wired(list(row.lines))))
        first = Said(row.stage, (f"{whole.code} {whole.texts[0]}",))
        for name, wrap in WRAPPERS.items():
            said = first if name in FIRST_LINE_ALONE else whole
            alone = explained_code(dataclasses.replace(row, lines=said.lines))
            found = explain(wrap(said), host="mx.example.net", port=25).diagnosis
            counted[name][found is not None and found.id == alone] += 1
    return counted


_COMMANDS = {
    Stage.EHLO: "EHLO", Stage.AUTH: "AUTH", Stage.MAIL: "MAIL FROM", Stage.RCPT: "RCPT TO",
    Stage.DATA: "end of DATA",
}  # fmt: skip


def script_of(row: Labelled | Wording | Unseen) -> Script:
    """A server that says ``row``: one for incoming mail, or one for submission."""
    if isinstance(row, Unseen) and row.host != "mx":
        login = row.label not in ("login", "tls") or row.stage is Stage.AUTH
        return Script(
            row.stage, list(row.lines), host=row.host, auth=login,
            encryption=Encryption.NONE if row.label == "tls" else Encryption.STARTTLS,
            username="b@example.com", mail_from="app@example.com", rcpt_to="anna@example.org",
        )  # fmt: skip
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
