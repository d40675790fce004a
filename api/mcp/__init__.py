"""Tools for agents, by the Model Context Protocol: search cases, read one, report, ask."""
