"""Imports, start and memory of a server; see docs/performance.md."""
