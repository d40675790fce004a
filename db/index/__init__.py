"""Cases, as an index directory keeps them."""
