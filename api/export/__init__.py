"""Export a generation as FHIR, PDF or DICOM SR."""
