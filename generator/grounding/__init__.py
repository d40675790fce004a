"""Sentences, and the citations they rest on."""
