"""The command line of the indexer."""
