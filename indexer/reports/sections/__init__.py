"""Report text to its sections: see `parse.parse_report`."""
