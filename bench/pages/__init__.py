"""The CPU time of the server for its pages; see docs/performance.md."""
