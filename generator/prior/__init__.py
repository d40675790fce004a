"""The patient's own prior study: assessed like the study itself, compared, and worded."""
