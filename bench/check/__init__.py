"""Measure the check against a minimal baseline and other mailers; see ``docs/bench.md``."""
