"""DICOMweb client of a PACS: search studies, fetch their radiographs, send a report back."""
