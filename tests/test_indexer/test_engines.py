"""Where a build decodes and embeds: one index, whatever the engine."""

import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from db.errors import MismatchError, UserError
from indexer.__main__ import main
from indexer.build import build
from indexer.encoder.cuda_graph import RecordedCalls
from indexer.encoder.device import TorchForward
from indexer.encoder.dual_encoder import OpenClipEncoder
from indexer.encoder.preprocessing import PreprocessConfig
from indexer.encoder.spec import Encoder
from indexer.engines.decoding_workers import DecodingWorkers, started_ahead
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.versions import current_folder
from tests.support.fakes import FittingThumbnails, ThumbnailEncoder, write_studies

STUDIES = 2 * 16 + 5


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> JsonLines:
    return JsonLines(write_studies(tmp_path_factory.mktemp("in"), STUDIES))


@pytest.fixture(scope="module")
def expected(studies: JsonLines, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the files of an index built in this process."""
    out = tmp_path_factory.mktemp("here") / "index"
    build(studies, FittingThumbnails(), out)
    return digests(out)


def digests(index_dir: Path) -> dict[str, str]:
    return dict(Index.open(current_folder(index_dir)).manifest.file_sha256)


def test_decoding_workers_build_the_same_index(
    tmp_path: Path, studies: JsonLines, expected: dict[str, str]
) -> None:
    engine = DecodingWorkers(FittingThumbnails(), workers=1)
    engine.studies_per_batch = 16
    build(studies, FittingThumbnails(), tmp_path / "index", engine=engine)
    assert digests(tmp_path / "index") == expected


def test_the_next_batch_is_queued_before_a_result_is_waited_for() -> None:
    seen: list[str] = []

    def start(item: int) -> Callable[[], int]:
        seen.append(f"start {item}")
        return lambda: seen.append(f"wait {item}") or item

    assert list(started_ahead(range(3), start, 1)) == [0, 1, 2]
    assert seen == ["start 0", "start 1", "wait 0", "start 2", "wait 1", "wait 2"]


def test_fitted_images_get_the_vectors_of_whole_ones() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 6))
    in_torch = TorchForward(network, "cpu")
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 255, (20, 30), dtype=np.uint8) for _ in range(19)]
    for forward in (in_torch, lambda pixels: in_torch(pixels)):
        encoder = OpenClipEncoder(
            forward, name="n", weights_sha256="0", dim=6, preprocess=PreprocessConfig(size=8)
        )
        whole = encoder.embed_images(images).vectors
        fit = pickle.loads(pickle.dumps(encoder.fit))
        found = encoder.start(np.stack([fit(image) for image in images]))()
        assert np.array_equal(found, whole) and whole.shape == (19, 6)


def test_a_pass_is_recorded_for_each_shape_that_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded: list[tuple[int, ...]] = []
    recording: list[bool] = []

    @contextmanager
    def graph(*_: Any, **__: Any) -> Iterator[None]:
        recording.append(True)
        try:
            yield
        finally:
            recording.clear()

    def double(one: torch.Tensor) -> torch.Tensor:
        if not recording:
            return 2 * one
        if len(one) == 3:
            raise RuntimeError("this waits for the GPU")
        recorded.append(tuple(one.shape))
        return 2 * one + 100

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "graph", graph)
    calls = RecordedCalls(double, what="embedding")
    rows = [calls(torch.ones(size)).tolist() for size in (2, 3, 2, 2, 3, 3)]
    assert rows == [[2] * 2, [2] * 3, [102] * 2, [102] * 2, [2] * 3, [2] * 3]
    assert recorded == [(2,)]


class Rows:
    """Rows of Ray Data, one batch each; what goes to a worker is pickled on the way."""

    def __init__(self, rows: Callable[[], Iterator[Any]], asked: dict[str, Any]) -> None:
        self._rows, self._asked = rows, asked

    def map(self, work: Any, *, fn_constructor_args: Any = (), **resources: Any) -> "Rows":
        self._asked.setdefault("workers", []).append(resources)

        def rows() -> Iterator[Any]:
            made = (
                work(*pickle.loads(pickle.dumps(fn_constructor_args)))
                if fn_constructor_args
                else work
            )
            return (made(pickle.loads(pickle.dumps(row))) for row in self._rows())

        return Rows(rows, self._asked)

    def iter_rows(self) -> Iterator[Any]:
        return self._rows()


class RayFake:
    """The part of Ray that the engine uses, in this process."""

    def __init__(self, resources: dict[str, float]) -> None:
        self.asked: dict[str, Any] = {}
        self.refused: Exception | None = None
        ray, data, block, errors = (ModuleType(name) for name in ("ray", "data", "block", "errors"))
        vars(ray).update(
            data=data,
            is_initialized=lambda: False,
            init=self._init,
            cluster_resources=lambda: resources,
        )
        vars(data).update(
            ActorPoolStrategy=lambda **given: given,
            DataContext=self,
            Datasource=type("Datasource", (), {}),
            ReadTask=lambda read, _: read,
            read_datasource=self._read,
        )
        vars(block).update(BlockMetadata=lambda **_: None)
        vars(errors).update(RayError=type("RayError", (Exception,), {}))
        self.modules = {
            "ray": ray,
            "ray.data": data,
            "ray.data.block": block,
            "ray.exceptions": errors,
        }
        self.execution_options = ModuleType("options")

    def get_current(self) -> "RayFake":
        return self

    def _init(self, address: str, **_: Any) -> None:
        self.asked["address"] = address
        if self.refused is not None:
            raise self.refused

    def _read(self, source: Any, **options: Any) -> Rows:
        self.asked["reader"] = options

        def rows() -> Iterator[Any]:
            for task in source.get_read_tasks(1):
                for frame in task():
                    yield from frame.to_dict("records")

        return Rows(rows, self.asked)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayFake]:
    fake = RayFake({"CPU": 2.0})
    for name, module in fake.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield fake
    sys.modules.pop("indexer.engines.ray_data", None)


def engine(load: Callable[[], Encoder] = FittingThumbnails, **options: Any) -> Any:
    from indexer.engines.ray_data import RayData

    return RayData(FittingThumbnails(), load, **options)


@pytest.mark.parametrize("load", [FittingThumbnails, ThumbnailEncoder])
def test_ray_builds_the_same_index_and_leaves_it_a_cpu(
    tmp_path: Path, ray: RayFake, studies: JsonLines, expected: dict[str, str], load: Any
) -> None:
    build(studies, FittingThumbnails(), tmp_path / "index", engine=engine(load))
    if load is FittingThumbnails:
        assert digests(tmp_path / "index") == expected
    [workers] = ray.asked["workers"]
    assert workers["compute"]["size"] * workers["num_cpus"] <= 1
    assert workers["num_cpus"] != ray.asked["reader"]["num_cpus"] or "memory" in ray.asked["reader"]
    assert ray.execution_options.preserve_order and ray.asked["address"] == "local"


def test_an_interrupted_build_in_ray_reads_on_where_it_stopped(
    tmp_path: Path, ray: RayFake, studies: JsonLines, expected: dict[str, str]
) -> None:
    class Stop:
        def update(self, n: float | None = 1, /) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(
            *(studies, FittingThumbnails(), tmp_path / "index"),
            engine=engine(),
            progress=lambda *_: Stop(),
        )
    built = build(studies, FittingThumbnails(), tmp_path / "index", engine=engine())
    assert built.resumed_batches == 1 and digests(tmp_path / "index") == expected


def test_on_gpus_other_processes_decode(tmp_path: Path, ray: RayFake, studies: JsonLines) -> None:
    with pytest.raises(UserError, match="has no GPU"):
        engine(gpu=True)
    vars(ray.modules["ray"])["cluster_resources"] = lambda: {"CPU": 8.0, "GPU": 2.0}
    built = build(studies, FittingThumbnails(), tmp_path / "index", engine=engine(gpu=True))
    decoding, embedding = ray.asked["workers"]
    assert built.added == STUDIES and decoding["num_cpus"] == 1
    assert embedding["compute"]["size"] == 2 and embedding["num_gpus"] == 1


def test_a_worker_with_another_encoder_is_refused(
    tmp_path: Path, ray: RayFake, studies: JsonLines
) -> None:
    other = partial(FittingThumbnails, "thumbnail", "1" * 64)
    with pytest.raises(MismatchError, match="another encoder or labeller"):
        build(studies, FittingThumbnails(), tmp_path / "index", engine=engine(other))
    assert not (tmp_path / "index" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "Connection refused"), ("head", "no port"), ("auto", "no cluster here")],
)
def test_a_cluster_that_does_not_answer_is_one_sentence(
    ray: RayFake, address: str, reason: str
) -> None:
    ray.refused = ConnectionError("no cluster here\nmore")
    with pytest.raises(UserError, match=rf"reached at {address} \(.*{reason}\): name") as told:
        engine(address=address)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "ray"], "the package ray, which is not installed: run scripts/install ray"),
        (["--address", "head:6379"], "--address is for --engine ray"),
        (["--engine", "ray", "--workers", "0"], "--workers must be at least 1, not 0"),
    ],
)
def test_an_engine_that_cannot_be_used_is_one_sentence(
    tmp_path: Path,
    studies: JsonLines,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    out = tmp_path / "index"
    source = ["--source", "jsonl", "--data-dir", str(studies._path)]
    assert main(["build", *source, "--out", str(out), *options]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error: ") and told in said[-1] and not out.exists()
