"""From a data set to an index directory."""
