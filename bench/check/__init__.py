"""Measure the mail check against a bare floor and other mailers; see ``docs/bench.md``."""
