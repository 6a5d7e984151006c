"""Carry out the effects that a check asks for: blocking, asyncio, or one probe."""
