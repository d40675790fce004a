"""A reader study: blind forms of pairs and reports, and what filled forms say."""
