"""Report text to sections, sentences and labels."""
