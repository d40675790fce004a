"""The HTTP routes, one controller a resource."""
