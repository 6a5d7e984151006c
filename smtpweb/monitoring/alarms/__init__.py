"""Alarms: what happened, whom it is told to, and how it gets there."""
