"""Check that a DICOM header describes one chest radiograph, and read its view."""

import re
import unicodedata

from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from db.errors import UserError
from db.index.case import ViewPosition
from indexer.images.radiograph import Limits, Subject

MODALITIES = frozenset({"CR", "DX", "DR", "RG", "OT", "SC"})
"""Computed, digital and digitised radiography, and secondary captures of them. Mammography, dental
images, fluoroscopy and every sectional modality are refused."""

_STORAGE = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
        "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
    }
)
_CHEST = re.compile(r"CHEST|THORAX|TORAX|LUNG|RIB|STERNUM|HEART")
_NOT_CHEST = frozenset(
    re.findall(
        "[A-Z]+",
        """
        ABDOMEN ANKLE ARM BLADDER BRAIN BREAST CALCANEUS CALF CERVIX COCCYX COLON CSPINE EAR ELBOW
        EXTREMITY EYE FACE FEMUR FINGER FOOT FOREARM HAND HEAD HIP HUMERUS JAW KIDNEY KNEE LEG
        LIVER LSPINE MANDIBLE MAXILLA NECK NOSE ORBIT PELVIS PROSTATE SCAPULA SHOULDER SINUS SKULL
        SPINE SSPINE TESTIS THIGH THUMB TIBIA TOE TOOTH TSPINE UTERUS WRIST ZYGOMA
        """,
    )
)
_LONGEST_VALUE = 256
"""Characters; the standard allows 64 in an identifier and in each part of a name."""
BURNED_IN = "text burned into the image by its header: it may name the patient"

_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def check_header(dataset: Dataset, name: str, limits: Limits, notes: list[str]) -> None:
    """Refuse anything but a single frame of a chest radiograph in a supported bit depth.

    Runs before pixels are decoded, so accepted sizes are within the limits. Raises UserError or
    TooLargeError; appends to ``notes`` what a user should know.
    """
    if limits.accept_as_chest:
        if not is_chest_radiograph(dataset):
            notes.append("header names another modality or body part: read as a chest X-ray")
    else:
        _check_modality(dataset, name, notes)
        _check_body_part(dataset, name)
    if "PixelData" not in dataset or not dataset.PixelData:
        raise UserError(f"{name} is a DICOM file without an image: send the radiograph itself")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UserError(f"{name} holds {frames} frames: send one radiograph per file")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    pixel_bytes = max(1, samples * int(dataset.BitsAllocated) // 8)
    limits.check_size(int(dataset.Columns), int(dataset.Rows), name, pixel_bytes=pixel_bytes)
    _check_samples(dataset, name)
    lossy = str(dataset.get("LossyImageCompression") or "") == "01"
    if lossy or dataset.file_meta.TransferSyntaxUID in _LOSSY:
        notes.append("lossy compressed")
    if str(dataset.get("PresentationIntentType") or "") == "FOR PROCESSING":
        notes.append("stored for processing, not for viewing: contrast may be unusual")
    if str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        notes.append(BURNED_IN)


def is_chest_radiograph(dataset: Dataset) -> bool:
    """Return whether modality and body part, if stated, are those of a chest radiograph."""
    try:
        _check_modality(dataset, "", [])
        _check_body_part(dataset, "")
    except UserError:
        return False
    return True


def subject_of(dataset: Dataset) -> Subject:
    """Read whose image it is."""
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyDate")
    values = [_short(dataset.get(keyword)) for keyword in keywords]
    patient, name, born, study, day = values
    return Subject(
        patient_id=patient,
        name=name.replace("^", " ").strip().upper(),
        birth_date=born,
        study_id=study,
        study_date=day,
    )


def _short(value: object) -> str:
    return " ".join(str(value or "")[:_LONGEST_VALUE].split())


def view_position(dataset: Dataset) -> ViewPosition | None:
    """Read the view position of a header with `read_view`, else the code of the view."""
    view = read_view(dataset.get("ViewPosition"))
    if view is None and not dataset.get("ViewPosition"):
        codes = dataset.get("ViewCodeSequence") or ()
        view = next((read_view(code.get("CodeMeaning")) for code in codes), None)
    return view


_PROJECTIONS: dict[ViewPosition, re.Pattern[str]] = {
    "PA": re.compile(r"\bP[ ./-]{0,3}A\b|\bPOSTER\w*[ /-]{0,3}ANTER|\bDORSO[ -]?VENTRAL"),
    "AP": re.compile(r"\bA[ ./-]{0,3}P\b|\bANTER\w*[ /-]{0,3}POSTER|\bVENTRO[ -]?DORSAL"),
    "FRONTAL": re.compile(r"\b(?:LLD|RLD|DECUB\w*|FRONT\w*)\b"),
    "LATERAL": re.compile(
        r"\b(?:LL|RL|LAT|LATERA\w*|[LR]LAT|PROFIL\w*|PERFIL|SEITLICH\w*|ZIJ\w+|SEITE)\b|^[LR]$"
    ),
}
"""The first that matches counts; terms of the standard, of devices, and in other languages."""
_OBLIQUE = re.compile(r"\b(?:OBL\w*|[LR][AP]O|[LR]LO|SCHR[AÄ]G\w*)\b")


def read_view(stated: object) -> ViewPosition | None:
    """Parse a view position; a decubitus image is frontal, an oblique one is None.

    Besides the standard terms, this reads words in full ("postero-anterior", "Antéro-postérieur")
    and combinations that devices write, such as "AP LLD" and "XTABLE LATERAL".
    """
    decomposed = unicodedata.normalize("NFKD", str(stated or ""))
    text = "".join(char for char in decomposed if not unicodedata.combining(char))
    text = text.upper().replace("_", " ").strip()
    if _OBLIQUE.search(text):
        return None
    return next((view for view, words in _PROJECTIONS.items() if words.search(text)), None)


def _check_modality(dataset: Dataset, name: str, notes: list[str]) -> None:
    modality = str(dataset.get("Modality") or "").strip().upper()
    storage = str(dataset.get("SOPClassUID") or "")
    if not modality and storage and storage not in _STORAGE:
        raise UserError(f"{name} is a DICOM file, but not a radiograph: send a chest X-ray")
    if not modality:
        notes.append("modality not stated, taken as a radiograph")
    elif modality not in MODALITIES:
        stated = modality if re.fullmatch(r"[A-Z]{2,10}", modality) else "unknown"
        raise UserError(
            f"{name} is a DICOM file of modality {stated}, not a radiograph: send a chest X-ray "
            "(CR, DX, DR, RG, or a capture of one)"
        )


def _check_body_part(dataset: Dataset, name: str) -> None:
    """Accept unknown and empty entries, because the field is free text in many languages."""
    stated = str(dataset.get("BodyPartExamined") or "").upper()
    other = sorted(_words(stated) & _NOT_CHEST)
    if other and not _CHEST.search(stated):
        raise UserError(f"{name} shows {other[0].lower()} by its header: send a chest X-ray")


def _check_samples(dataset: Dataset, name: str) -> None:
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    grey = samples == 1 and photometric in (*_MONOCHROME, "PALETTE COLOR")
    colour = samples == 3 and photometric in _COLOUR
    if not (grey or colour):
        raise UserError(
            f"{name} stores its pixels in an unsupported way ({samples} samples each): "
            "export it as MONOCHROME2"
        )
    high = int(dataset.get("HighBit", stored - 1))
    if (
        allocated not in (8, 16)
        or not 2 <= stored <= allocated
        or not stored - 1 <= high < allocated
    ):
        raise UserError(
            f"{name} stores {stored} of {allocated} bits per pixel, which is not supported: "
            "export it with 8 to 16 bits"
        )


def _words(value: object) -> set[str]:
    return set(re.findall(r"[A-Z]+", str(value or "").upper()))
