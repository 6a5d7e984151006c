"""Look up a host and connect to one of its addresses."""
