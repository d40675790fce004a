"""Export what a score rests on as a DICOM Secondary Capture (PS3.3 A.8), beside the report's SR.

The picture is the image with the map over it, as `generator.localization.overlay` draws it, caption
and notice included. It joins the study of the DICOM image that it was made from; patient and study
are copied from that file and stored nowhere.
"""

import io

import numpy as np
from highdicom.enum import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage

from api.export.dicom_sr import export_uid
from api.export.study_header import StudyHeader
from api.export.text import software
from db.app.generation import Generation, ScoreRegion
from db.labels import OBSERVATIONS
from generator.localization.overlay import caption, draw_overlay
from indexer.images.radiograph import Radiograph, quiet_decoders

_SERIES = 9001
"""The series of the SR is 9000."""
_LONGEST_COMMENT = 1024


def to_dicom_sc(
    generation: Generation, region: ScoreRegion, image: Radiograph, study: StudyHeader
) -> bytes:
    """Return the file. Raises MismatchError for an image of another size."""
    made, of = generation.created_at, study.values
    place = (region.image - 1) * len(OBSERVATIONS) + OBSERVATIONS.index(region.observation)
    out = io.BytesIO()
    with quiet_decoders():
        capture = SCImage(
            pixel_array=np.asarray(draw_overlay(region, image.pixels)),
            photometric_interpretation=PhotometricInterpretationValues.RGB,
            bits_allocated=8,
            coordinate_system=CoordinateSystemNames.PATIENT,
            patient_orientation=("L", "F"),
            study_instance_uid=of["StudyInstanceUID"],
            series_instance_uid=export_uid(generation, "maps"),
            series_number=_SERIES,
            sop_instance_uid=export_uid(generation, f"map {place}"),
            instance_number=place + 1,
            manufacturer="grounded-cxr",
            study_date=of.get("StudyDate"),
            study_time=of.get("StudyTime"),
            series_description="Research use only: what scores rest on",
            manufacturer_model_name=software(generation),
            software_versions=generation.origin.program if generation.origin else "unknown",
            content_date=made.date(),
            content_time=made.time(),
            specific_character_set="ISO_IR 192",
            **study.identification(),
        )
        capture.BurnedInAnnotation = "YES"
        capture.ImageComments = caption(region)[:_LONGEST_COMMENT]
        if image.view_position in (None, "LATERAL"):  # either side may face left
            capture.PatientOrientation = []
        capture.save_as(out, enforce_file_format=True)
    return out.getvalue()
