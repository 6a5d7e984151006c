"""Types, failures, effects and policies that all of the mail check shares."""
