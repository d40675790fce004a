"""Case keys: ``source:study_id`` as one segment of an address.

A key holds no slash: what an id has beyond letters, digits and ``_.-~`` is percent-encoded in the
key itself, and once more in an address. ``openi:1234`` stays as it is.
"""

from urllib.parse import quote, unquote

from db.errors import UserError


def case_key(source: str, study_id: str) -> str:
    return f"{quote(source, safe='')}:{quote(study_id, safe='')}"


def split_case_key(key: str) -> tuple[str, str]:
    """Source and study id. Raises UserError for anything that is no key."""
    source, colon, study_id = key.partition(":")
    if not (source and colon and study_id):
        raise UserError(f"'{key}' is no case: write source:study_id, such as openi:1234")
    return unquote(source), unquote(study_id)
