"""Middleware of every request: access, limits, problem documents, observability."""
