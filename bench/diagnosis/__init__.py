"""Measure the diagnosis on replies of real servers, each through the real check."""
