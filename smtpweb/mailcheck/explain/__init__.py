"""From a pasted error, log or transcript to what happened, and from there to its cause."""
