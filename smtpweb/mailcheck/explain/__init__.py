"""Find out what happened, and why, from a pasted error, log or transcript."""
