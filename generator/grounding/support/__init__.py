"""Whether a report supports a statement: read finding by finding, compared one with one."""
