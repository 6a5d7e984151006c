"""Run checks, let their outcome decide, and say how they stand."""
