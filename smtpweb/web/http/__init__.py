"""Requests and responses: authentication, language, headers, bodies."""
