"""Run checks, apply their results, and report their progress."""
