"""The command line of a PACS."""
