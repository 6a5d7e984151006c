"""Convert values for display: labels, remedies, plain text, charts."""
