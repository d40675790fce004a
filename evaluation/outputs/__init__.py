"""What every system said of every study, written down before it is scored."""
