"""How calls and pages grow with the number of rows; see docs/performance.md."""
