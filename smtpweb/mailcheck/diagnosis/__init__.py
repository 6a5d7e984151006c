"""Diagnose the cause of what happened, in plain language."""
