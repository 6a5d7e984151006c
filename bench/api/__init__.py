"""The API under load beside a bare Flask route and a FastAPI service; see docs/performance.md."""
