"""Resolve a host name and connect to one of its addresses."""
