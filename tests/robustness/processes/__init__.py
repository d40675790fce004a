"""Several processes of the service behind nginx."""
