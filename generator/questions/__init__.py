"""Questions: what is asked, whether an X-ray can answer it, and the answers that need no model."""
