"""Vectors: exact search, candidates and re-ranking, and the choice between them."""

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from db.errors import NotFoundError, UserError
from indexer.vectors.build import build_vectors
from indexer.vectors.exact import ExactVectors
from indexer.vectors.ivf import IDS, LISTS, VECTORS, IvfVectors, list_count
from indexer.vectors.options import EXACT_BYTES, VectorOptions, VectorSpec
from indexer.vectors.store import VectorStore, open_vectors

DIM = 32
IVF = VectorOptions(type="ivf")


def clustered(count: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((40, DIM))
    rows = centres[draw.integers(0, 40, count)] + 0.4 * draw.standard_normal((count, DIM))
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit.astype(np.float32)


def write(directory: Path, rows: np.ndarray, options: VectorOptions, step: int = 3) -> VectorSpec:
    """Case ids are 0, 3, 6, ... so that an id is never taken for a row."""
    directory.mkdir(exist_ok=True)
    np.save(directory / IDS, step * np.arange(len(rows)))
    np.save(directory / VECTORS, rows)
    return build_vectors(directory, options)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return clustered(6000)


@pytest.fixture(scope="module")
def exact(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> VectorStore:
    directory = tmp_path_factory.mktemp("exact")
    return open_vectors(directory, write(directory, rows, VectorOptions(type="exact")))


@pytest.fixture(scope="module")
def fast(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> VectorStore:
    directory = tmp_path_factory.mktemp("fast")
    return open_vectors(directory, write(directory, rows, IVF))


def test_exact_search_is_the_sorted_product(exact: VectorStore, rows: np.ndarray) -> None:
    for number in (0, 17, 5999):
        ids, scores = exact.search(rows[number], 5)
        products = rows @ rows[number]
        order = np.argsort(-products)[:5]
        assert ids.tolist() == (3 * order).tolist()
        assert scores == pytest.approx(products[order], abs=1e-6)


def test_equal_scores_come_by_id(tmp_path: Path) -> None:
    rows = np.repeat(np.eye(DIM, dtype=np.float32)[:2], 6, axis=0)
    store = open_vectors(tmp_path, write(tmp_path, rows, VectorOptions()))
    assert store.search(rows[0], 4)[0].tolist() == [0, 3, 6, 9]
    assert store.search(rows[6], 8)[0].tolist() == [18, 21, 24, 27, 30, 33, 0, 3]


def test_equal_scores_come_by_id_however_many_there_are(tmp_path: Path) -> None:
    rows = np.repeat(clustered(3), 400, axis=0)
    draw = np.random.default_rng(1).permutation(len(rows))
    store = open_vectors(tmp_path, write(tmp_path, rows[draw], VectorOptions()))
    for number in (0, 400, 800):
        equal = 3 * np.flatnonzero((rows[draw] == rows[number]).all(axis=1))
        ids, scores = store.search(rows[number], 7)
        assert ids.tolist() == equal[:7].tolist() and len(set(scores.tolist())) == 1
        left = store.search(rows[number], 5, exclude=equal[:398])[0]
        assert left.tolist()[:2] == equal[398:].tolist() and len(left) == 5


def test_exact_scores_and_their_order_equal_those_of_single_products(
    exact: VectorStore, rows: np.ndarray
) -> None:
    draw = np.random.default_rng(5)
    for k in (1, 10, 500, 5990, 7000):
        query = clustered(1, seed=k)[0]
        excluded = draw.choice(6000, 20, replace=False)
        ids, scores = exact.search(query, k, exclude=3 * excluded)
        products = np.einsum("ij,j->i", rows, query)
        order = np.lexsort((np.arange(6000), -products))
        order = order[~np.isin(order, excluded)][:k]
        assert ids.tolist() == (3 * order).tolist()
        assert np.array_equal(scores, products[order])


def test_plain_faiss_opens_an_exact_index_and_finds_case_ids(
    tmp_path: Path, rows: np.ndarray
) -> None:
    write(tmp_path, rows, VectorOptions(type="exact"))
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.faiss"]
    index = faiss.read_index(str(tmp_path / "vectors.faiss"))
    _, ids = index.search(rows[7:8], 1)
    assert ids.tolist() == [[21]]
    assert np.array_equal(index.reconstruct(21), rows[7])


def test_plain_faiss_opens_the_lists_of_a_fast_index(tmp_path: Path, rows: np.ndarray) -> None:
    write(tmp_path, rows, IVF)
    index = faiss.read_index(str(tmp_path / "vectors.faiss"))
    assert index.ntotal == len(rows)


def test_the_type_of_an_index_picks_its_store(exact: VectorStore, fast: VectorStore) -> None:
    assert isinstance(exact, ExactVectors) and isinstance(fast, IvfVectors)


def test_ids_out_of_order_are_refused(tmp_path: Path) -> None:
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(2))
    index.add_with_ids(np.eye(2, dtype=np.float32), np.array([5, 3]))
    faiss.write_index(index, str(tmp_path / "vectors.faiss"))
    with pytest.raises(UserError, match="ids out of order"):
        ExactVectors.open(tmp_path / "vectors.faiss")


def test_the_ivf_index_finds_nearly_what_the_exact_one_finds(
    exact: VectorStore, fast: VectorStore
) -> None:
    queries = clustered(200, seed=0)[:100] + 0.01
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    shares = []
    for query in queries.astype(np.float32):
        wanted, scores = exact.search(query, 10)
        found, cosines = fast.search(query, 10)
        shares.append(np.isin(wanted, found).mean())
        assert cosines[0] == pytest.approx(scores[0], abs=1e-3)
        assert (np.diff(cosines) <= 0).all()
    assert np.mean(shares) >= 0.98


def test_a_batch_of_queries_finds_what_each_query_finds(
    exact: VectorStore, fast: VectorStore, rows: np.ndarray
) -> None:
    for store in (exact, fast):
        ids, scores = store.search_many(rows[:30], 7)
        for place in range(30):
            alone = store.search(rows[place], 7)
            assert ids[place].tolist() == alone[0].tolist()
            assert scores[place] == pytest.approx(alone[1], abs=1e-5)


@pytest.mark.parametrize("kind", ["exact", "fast"])
def test_excluded_ids_never_appear_and_only_those_asked_for_do(
    kind: str, exact: VectorStore, fast: VectorStore, rows: np.ndarray
) -> None:
    store = exact if kind == "exact" else fast
    first, _ = store.search(rows[5], 10)
    rest, _ = store.search(rows[5], 10, exclude=[*first[:4].tolist(), 1, 10**9])
    assert not set(first[:4].tolist()) & set(rest.tolist())
    assert rest[:6].tolist() == first[4:].tolist() and len(rest) == 10
    few = {9, 12, 999_999_999, 10}
    ids, _ = store.search(rows[5], 10, only=few, exclude=[12])
    assert ids.tolist() == [9]
    assert store.search(rows[5], 10, only=[])[0].tolist() == []
    half = set(range(0, 9000, 3))
    ids, _ = store.search(rows[5], 10, only=half)
    assert len(ids) == 10 and set(ids.tolist()) <= half


def test_a_large_choice_of_cases_is_searched_through_the_lists(
    fast: VectorStore, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.vectors.ivf._SCANNED_ROWS", 1000)
    some = np.arange(0, len(rows), 2)
    for number in (1, 50, 400):
        found, _ = fast.search(rows[number], 10, only=set((3 * some).tolist()))
        wanted = 3 * some[np.argsort(-(rows[some] @ rows[number]))[:10]]
        assert len(found) == 10 and (found % 6 == 0).all()
        assert np.isin(wanted, found).mean() >= 0.8


@pytest.mark.parametrize("scanned", [1000, 200_000])
def test_the_best_of_a_choice_that_is_far_from_the_query_are_found(
    fast: VectorStore, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    monkeypatch.setattr("indexer.vectors.ivf._SCANNED_ROWS", scanned)
    for number in (1, 50, 400):
        similarity = rows @ rows[number]
        far = np.argsort(similarity)[:3000]
        wanted = 3 * far[np.argsort(-similarity[far])[:10]]
        found, _ = fast.search(rows[number], 10, only=3 * far)
        assert np.isin(wanted, found).mean() >= 0.9


def test_more_hits_than_the_first_lists_hold_are_found(fast: VectorStore, rows: np.ndarray) -> None:
    assert len(fast.search(rows[0], 2000)[0]) == 2000
    assert sorted(fast.search(rows[0], 9999)[0].tolist()) == (3 * np.arange(6000)).tolist()


def test_a_vector_is_kept_as_half_precision_beside_lists(
    exact: VectorStore, fast: VectorStore, rows: np.ndarray
) -> None:
    assert np.array_equal(exact.vector(9), rows[3])
    assert fast.vector(9) == pytest.approx(rows[3], abs=1e-3)
    for store in (exact, fast):
        with pytest.raises(NotFoundError, match="no case 10"):
            store.vector(10)
        ids, vectors = store.all()
        blocks = list(store.blocks())
        assert np.array_equal(np.concatenate([block for block, _ in blocks]), ids)
        assert np.array_equal(np.concatenate([block for _, block in blocks]), vectors)


def test_exact_is_chosen_if_it_is_fast_and_fits() -> None:
    options = VectorOptions()
    limit = EXACT_BYTES // (4 * 256)
    assert options.choose(limit, 256) == "exact"
    assert options.choose(limit + 1, 256) == "ivf"
    assert replace(options, memory_bytes=8_000_000).choose(10_000, 256) == "ivf"
    assert replace(options, type="exact").choose(10**6, 256) == "exact"
    assert replace(options, type="ivf").choose(10, 256) == "ivf"
    with pytest.raises(UserError, match=r"take 1024 MB as 'exact', more than the 600 MB allowed"):
        replace(options, type="exact", memory_bytes=600_000_000).choose(10**6, 256)
    with pytest.raises(UserError, match="--memory"):
        replace(options, memory_bytes=1_000_000).choose(10_000, 256)
    assert replace(options, memory_bytes=600_000_000).choose(10**6, 256) == "ivf"


def test_exact_vectors_that_do_not_fit_into_free_memory_are_refused_with_the_cure(
    tmp_path: Path, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = VectorOptions(type="exact")
    assert options.choose(1000, 256, free_bytes=1_024_000) == "exact"
    with pytest.raises(UserError, match=r"take 1 MB as 'exact', which is built in memory, and 1"):
        options.choose(1000, 256, free_bytes=1_023_999)
    assert VectorOptions().choose(10**6, 256, free_bytes=1_000_000) == "ivf"
    monkeypatch.setattr("indexer.vectors.build.free_memory", lambda: 1)
    with pytest.raises(UserError, match="--index-type ivf"):
        write(tmp_path, rows, options)
    monkeypatch.undo()
    write(tmp_path, rows, options)  # the vectors are still there


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="no index type 'hnsw'"):
        VectorOptions(type="hnsw")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="min_recall must be between 0 and 1, not 2"):
        VectorOptions(min_recall=2)


def test_lists_grow_with_the_root_of_the_rows_and_never_outnumber_them() -> None:
    counts = [list_count(rows) for rows in (1, 79, 80, 1000, 10_000, 100_000, 1_000_000)]
    assert counts == [1, 1, 2, 16, 128, 1024, 4096]


def test_an_index_with_low_recall_is_refused_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.vectors.build._QUERIES", 50)
    rows = np.random.default_rng(0).standard_normal((1000, DIM)).astype(np.float32)
    rows[:, 1:] *= 0.001  # codes of one bit a number cannot tell these apart
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with pytest.raises(UserError, match=r"finds 0\.\d+ .* --index-type exact"):
        write(tmp_path, rows, IVF)
    spec = write(tmp_path, rows, replace(IVF, min_recall=0))
    assert spec.recall < 0.98 and spec.probes == spec.lists and spec.candidates == 80


@pytest.mark.parametrize("count", [1, 2, 11])
def test_a_small_ivf_index_can_be_forced(tmp_path: Path, count: int) -> None:
    rows = clustered(count)
    store = open_vectors(tmp_path, write(tmp_path, rows, IVF))
    assert store.search(rows[0], 5)[0][0] == 0
    assert len(store.search(rows[0], 20)[0]) == count


def test_damaged_vector_files_are_refused(tmp_path: Path) -> None:
    rows = clustered(300)
    spec = write(tmp_path, rows, IVF)
    for name in (IDS, VECTORS, LISTS):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=f"{name} is damaged"):
            open_vectors(tmp_path, spec)
        (tmp_path / name).unlink()
        with pytest.raises(NotFoundError, match=name):
            open_vectors(tmp_path, spec)
        (tmp_path / name).write_bytes(whole)
    np.save(tmp_path / IDS, np.arange(299))
    with pytest.raises(UserError, match="299 ids"):
        open_vectors(tmp_path, spec)


@pytest.mark.parametrize("other", ["another kind of index", "half of the file", "nothing"])
def test_a_damaged_exact_index_is_refused(tmp_path: Path, other: str) -> None:
    spec = write(tmp_path, clustered(300), VectorOptions())
    path = tmp_path / LISTS
    whole = path.read_bytes()
    if other == "another kind of index":
        faiss.write_index(faiss.IndexFlatIP(4), str(path))
    else:
        path.write_bytes(whole[: len(whole) // 2] if other == "half of the file" else b"")
    with pytest.raises(UserError, match=f"{LISTS} is damaged"):
        open_vectors(tmp_path, spec)
    path.unlink()
    with pytest.raises(NotFoundError, match=LISTS):
        open_vectors(tmp_path, spec)


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = clustered(2000)
    specs = [write(tmp_path / name, rows, IVF) for name in ("a", "b")]
    assert specs[0] == specs[1]
    for name in (IDS, VECTORS, LISTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
