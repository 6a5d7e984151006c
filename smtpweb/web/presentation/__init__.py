"""From values to what a reader sees: labels, remedies, plain text, charts."""
