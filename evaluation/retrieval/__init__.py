"""How well a search finds studies with the same findings."""
