"""Adapters as directories that load again."""
