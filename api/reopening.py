"""Opening the index directory again after a rebuild."""

from api.current_index import StudySearch
from db.errors import UserError
from indexer.encoder import load_encoder
from indexer.index import Index
from indexer.manifest import Manifest
from retriever.search import Retriever


def reopen(before: StudySearch) -> Retriever:
    """A retriever on what is now where the index of ``before`` was, with its encoder if it fits.

    Raises UserError where that cannot be opened, or is replaced once more meanwhile.
    """
    assert isinstance(before, Retriever)
    path = before.index.path
    index = Index.open(path)
    same = index.manifest.encoder.same_space(before.encoder.spec)
    encoder = before.encoder if same else load_encoder(index.manifest.encoder.name)
    retriever = Retriever(index, encoder)
    if Manifest.read(path).fingerprint != index.manifest.fingerprint:
        raise UserError(f"{path} was replaced while it was opened: reload again")
    return retriever
