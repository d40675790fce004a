"""Wire types of an indexed case."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Self

import msgspec

from db.index.case import CaseImage, case_key
from db.index.store import Case, Section, ViewPosition
from db.labels import State

CaseKey = Annotated[
    str, msgspec.Meta(description="The case as `source:study_id`.", examples=["openi:1234"])
]


OPENI = "https://openi.nlm.nih.gov"
_OPENI_FOLDERS = 401
"""Open-I spreads its images over so many folders, by the number of the study."""
_OPENI_IMAGE = re.compile(r"(?:CXR)?(\d+_IM-\d+(?:-\d+)+)(?:\.\w+)*", re.IGNORECASE)


class CaseImageDocument(msgspec.Struct, kw_only=True):
    """An image of a case."""

    number: int
    view_position: ViewPosition | None
    width: int
    height: int
    has_file: bool
    """Whether the data set's file was known when the index was built; it may have moved since."""
    public_url: str | None
    """The image, made smaller, at its public source; null if there is none."""


class CaseSentence(msgspec.Struct, kw_only=True):
    """A sentence of a case's report, verbatim."""

    section: Section
    text: str
    labels: Mapping[str, State]


class CaseDocument(msgspec.Struct, kw_only=True):
    """An indexed study: what a citation points to."""

    case: CaseKey
    source: str
    study_id: str
    indication: str
    findings: str
    impression: str
    labels: Mapping[str, State]
    sentences: list[CaseSentence]
    images: list[CaseImageDocument]
    public_url: str | None

    @classmethod
    def of(cls, case: Case) -> Self:
        return cls(
            case=case_key(case.source, case.study_id),
            source=case.source,
            study_id=case.study_id,
            indication=case.indication,
            findings=case.findings,
            impression=case.impression,
            labels=case.labels,
            sentences=[
                CaseSentence(section=s.section, text=s.text, labels=s.labels)
                for s in case.sentences
            ],
            images=[
                CaseImageDocument(
                    number=number,
                    view_position=image.view_position,
                    width=image.width,
                    height=image.height,
                    has_file=image.path is not None,
                    public_url=public_image_url(case, image),
                )
                for number, image in enumerate(case.images, start=1)
            ],
            public_url=public_url(case),
        )


def public_url(case: Case) -> str | None:
    """The public page of a case, or None if there is none.

    Open-i shows one image per page, addressed by ``CXR`` and the name of its file. Where the file
    names are not known, the link searches the collection for the study.
    """
    if case.source != "openi" or not case.study_id.isdecimal():
        return None
    for image in case.images:
        if (name := _openi_name(case, image)) is not None:
            return f"{OPENI}/detailedresult?img={name}&req=4"
    return f"{OPENI}/gridquery?q=CXR{case.study_id}&it=xg&coll=cxr"


def public_image_url(case: Case, image: CaseImage) -> str | None:
    """The public address of an image of a case, at most 512 pixels a side; None if it has none."""
    name = _openi_name(case, image)
    if name is None:
        return None
    study = int(case.study_id)
    return f"{OPENI}/imgs/512/{study % _OPENI_FOLDERS}/{study}/{name}.png"


def _openi_name(case: Case, image: CaseImage) -> str | None:
    """What Open-I calls an image, by the name of its file."""
    if case.source != "openi" or not case.study_id.isdecimal():
        return None
    match = image.path and _OPENI_IMAGE.fullmatch(PurePath(image.path).name)
    if not match or not match[1].startswith(f"{case.study_id}_"):
        return None
    return f"CXR1_{match[1]}" if case.study_id == "1" else f"CXR{match[1]}"
