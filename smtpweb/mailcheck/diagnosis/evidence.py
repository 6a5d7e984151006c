"""Settle on the meaning of a reply: phrases and classifier agree, or one of them is sure enough.

Where they contradict each other and neither is sure, the reply has no meaning: a wrong accusation
costs more than a quoted reply.
"""

from __future__ import annotations

from collections.abc import Mapping

from .classifier import NONE, learned
from .lexicon import PLAIN, STRONG, Match, plain_match

# Probabilities of the classifier, chosen by the rows of bench/diagnosis that are only counted
SURE_ALONE = 0.8  # where phrases say nothing, or weak words say something else
SURE_AGAINST = 0.9  # against a usual phrase
LEAST_POSSIBLE = 0.3  # of what phrases or a code say


def settle(matches: tuple[Match, ...], estimates: Mapping[str, float]) -> Match | None:
    """Return the meaning that holds, or None.

    ``matches`` of the phrases, best first; ``estimates`` of the classifier, likeliest first.
    """
    best = matches[0] if matches else None
    if best is not None and (best.strength == STRONG or best.meaning not in learned()):
        return best
    usual = best is not None and best.strength == PLAIN
    likeliest, probability = next(iter(estimates.items()), (NONE, 0.0))
    is_sure = probability >= (SURE_AGAINST if usual else SURE_ALONE) and likeliest != NONE
    if is_sure and (best is None or best.meaning != likeliest):
        return plain_match(likeliest, estimated=True)
    if best is None or estimates.get(best.meaning, 0.0) < LEAST_POSSIBLE:
        return None
    return best
