"""An index in PostgreSQL with pgvector: publish it, open it there, pull it back."""
