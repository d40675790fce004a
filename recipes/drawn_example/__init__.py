"""The drawn example: invented chest X-rays and reports, for a screenshot that anyone may show."""
