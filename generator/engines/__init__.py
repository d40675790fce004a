"""Language models that another server runs."""
