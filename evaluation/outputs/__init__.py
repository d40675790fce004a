"""The outputs of every system for every study, stored before they are scored."""
