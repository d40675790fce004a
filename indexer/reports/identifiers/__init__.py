"""Replace names, birth dates, numbers and addresses of people in a report by a mark."""
