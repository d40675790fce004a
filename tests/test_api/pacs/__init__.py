"""The DICOMweb client."""
