"""The prior cases in a prompt: found, chosen and cut to a token budget."""
