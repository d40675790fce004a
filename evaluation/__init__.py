"""What search, reports and answers are worth, with intervals."""
