"""From what happened to its cause, in plain words."""
