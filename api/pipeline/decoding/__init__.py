"""Decode files in processes of their own: the pools, one process, its program, its messages."""
