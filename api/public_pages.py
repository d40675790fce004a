"""Where a case can be seen in public."""

import re
from pathlib import PurePath

from db.index.store import Case

_OPENI_IMAGE = re.compile(r"(?:CXR)?(\d+_IM-\d+(?:-\d+)+)(?:\.\w+)*", re.IGNORECASE)


def public_url(case: Case) -> str | None:
    """The page of a case at its source, or None where there is none to name.

    Open-i shows one image a page, addressed by ``CXR`` and the name of its file. Where the file
    names are not known, the link searches the collection for the study.
    """
    if case.source != "openi" or not case.study_id.isdecimal():
        return None
    for image in case.images:
        match = image.path and _OPENI_IMAGE.fullmatch(PurePath(image.path).name)
        if match and match[1].startswith(f"{case.study_id}_"):
            return f"https://openi.nlm.nih.gov/detailedresult?img=CXR{match[1]}&req=4"
    return f"https://openi.nlm.nih.gov/gridquery?q=CXR{case.study_id}&it=xg&coll=cxr"
