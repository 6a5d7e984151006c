"""Types, failures, effects and policies shared by the whole package."""
