"""Which addresses a check may reach (to be written)."""

from dataclasses import dataclass


class EgressRuleError(ValueError):
    """A rule of the policy that cannot be read."""


@dataclass(frozen=True)
class EgressPolicy:
    """Placeholder."""
