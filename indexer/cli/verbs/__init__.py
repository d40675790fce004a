"""What each verb of ``python -m indexer`` does; imported only when it is run."""
