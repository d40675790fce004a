"""Statements that the whole image is normal or shows nothing acute."""

import re

NORMAL_IMAGE = re.compile(
    r"^(?:\W*\d?\W*)(?:(?:essentially|grossly|otherwise|impression:?) )*"
    r"(?:normal|unremarkable|negative),? (?:\w+[ /-]){0,6}?"
    r"(?:chest(?! (?:wall|tube))|views of the chest|stud(?:y|ies)|exam\w*|radiographs?|films?"
    r"|x-?rays?)\b"
    r"|\b(?:chest|study|exam\w*|radiographs?|films?|x-?rays?)(?: (?:is|are|appears?))?"
    r"(?: (?:otherwise|essentially))? (?:within normal|normal\b|unremarkable|negative(?! for))"
    r"|^\W*(?:normal|negative|unremarkable|no acute|clear)\W*$|\bnad\b"
    r"|\b(?:no|without|negative for)(?: (?:radiographic|evidence|of|for|definite|any|signs?|x-ray"
    r"|findings?|significant|acute|active|new|visible|convincing|plain|film|or|focal|other))*"
    r" (?:acute |active )?(?:(?:cardiac|heart|lung|pleural),? (?:or|and) )?"
    r"(?:cardio-? ?pulmonary|intra-?thoracic|thoracic|chest|pulmonary|cardio-?thoracic)"
    r"(?: or \w+)?(?: (?:radiographic|disease))?"
    r" (?:abnormalit\w+|disease|process\w*|findings?|pathology|patholog\w+|illness|changes?)\b"
    r"|\bno (?:(?:evidence of|radiographic|definite|significant) )*(?:acute|active)"
    r" (?:radiographic )?(?:findings?|abnormalit\w+|disease|process\w*|pathology)\b"
    r"(?!.{0,40}\b(?:abdomen|bon\w+|osseous|spine|skelet\w+|rib\w*)\b)"
)
"""Statements that the whole image is normal or shows nothing acute."""
