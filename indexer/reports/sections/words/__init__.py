"""What headings of reports are called, by language and by what they open."""
