"""Carry out the effects that a check requests: blocking, asyncio, or one probe."""
