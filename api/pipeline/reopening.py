"""Opening the index directory again after a rebuild."""

from collections.abc import Callable
from pathlib import Path

from api.pipeline.current_index import Reopen, StudySearch
from indexer.encoder.load import load_encoder
from indexer.index import Index
from retriever.search import Retriever


def reopening(index_dir: Path, use: Callable[[Retriever], None] = lambda _: None) -> Reopen:
    """A way to open what is in an index directory by then; the encoder is kept if it still fits.

    ``use`` is told of it before anybody else, and may refuse it.
    """

    def reopen(before: StudySearch) -> Retriever:
        index = Index.open(index_dir)
        same = index.manifest.encoder.same_space(before.encoder.spec)
        retriever = Retriever(
            index, before.encoder if same else load_encoder(index.manifest.encoder.name)
        )
        use(retriever)
        return retriever

    return reopen
