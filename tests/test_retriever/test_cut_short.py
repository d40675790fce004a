"""Files of an open index that are cut short in place: one sentence, and the process lives on.

Each case runs in a process of its own, because an unguarded read would end it (SIGBUS).
"""

from pathlib import Path

import pytest

from indexer.build import build
from indexer.index import IMAGE_VECTORS
from indexer.sources.jsonl import JsonLines
from indexer.vectors.ivf import IDS, LISTS, VECTORS
from indexer.vectors.options import VectorOptions, VectorType
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.warm_python import WarmPython

SCRIPT = """
import os, sys
import numpy as np
from db.errors import UnavailableError
from indexer.index import Index
from retriever.query import image_query
from retriever.search import Retriever
from indexer.images.radiograph import Radiograph
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

directory, name = sys.argv[1:]
retriever = Retriever.open(directory, ThumbnailEncoder())
store, image = retriever.index.vectors, draw_radiograph(1, size=(96, 80))
os.truncate(retriever.index.path / name, 0)
calls = [retriever.index.check_files]
if name == "image_vectors.npy":
    image = Radiograph(pixels=image, view_position=None, notes=())
    calls.append(lambda: retriever.duplicates([image]))
    calls.append(lambda: retriever.search([image]))
else:
    query = np.zeros(store.dim, np.float32)
    calls += [
        lambda: store.search(query, 3),
        lambda: store.search(query, 3, only=[1, 2]),
        lambda: store.search_many(query[None], 3),
        lambda: store.vector(1),
        store.all,
        lambda: list(store.blocks()),
        lambda: retriever.search([image]),
    ]
for number, call in enumerate(calls):
    try:
        call()
        print(number, "returned")
    except UnavailableError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("exact", LISTS),
        ("exact", IMAGE_VECTORS),
        *(("ivf", name) for name in (LISTS, IDS, VECTORS)),
    ],
)
def test_a_file_that_is_cut_short_while_it_is_mapped_is_one_error(
    tmp_path: Path, kind: VectorType, name: str, warm_python: WarmPython
) -> None:
    build(
        JsonLines(write_studies(tmp_path / "studies", 24)),
        ThumbnailEncoder(),
        tmp_path / "index",
        options=VectorOptions(type=kind),
    )
    code, said = warm_python.run("-c", SCRIPT, str(tmp_path / "index"), name)
    assert code == 0, (code, said)
    lines = set(said.splitlines())
    assert len(lines) == 1 and f"{name} of the index was cut short while in use" in lines.pop()
