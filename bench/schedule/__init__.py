"""Measurements of scheduled checks on loopback, bounded in count and time."""
