"""Reads while many checks hang; see docs/performance.md."""
