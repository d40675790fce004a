"""Triton's kernels compute what torch does: by its interpreter, and on a GPU."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from generator.mllama import load
from generator.mllama.decoding.decoder import Decoder
from tests.support.models.mllama_in_memory import mllama_in_memory

INTERPRETED = Path(__file__).with_name("interpreted_kernels.py")


def test_kernels_compute_what_torch_does_by_tritons_interpreter() -> None:
    pytest.importorskip("triton")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INTERPRETED)],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout or "100%" in ran.stdout


POINTERS = {
    "weight": "*u8", "absmax": "*u8", "nested": "*fp32", "offset": "*fp32", "code": "*fp32",
    "table": "*i32", "lora_in": "*fp32", "out": "*fp32", "mixed": "*fp32", "maxima": "*fp32",
    "sums": "*fp32", "parts": "*fp32", "lengths": "*i64", "begin": "*i64", "slots": "*i64",
    "active": "*u8", "first": "i32", "second": "i32", "rows": "i32", "key_stride": "i32",
    "chunks": "i32", "granules": "i32", "width": "i32", "epsilon": "fp32", "scale": "fp32",
}  # fmt: skip
"""Types of arguments; bfloat16 where none is given."""
PRODUCT = {"OUTPUTS": 1024, "INPUTS": 4096, "ROWS": 2, "RANK": 16, "SPLITS": 1}
HEADS = {"HEADS": 32, "KEY_HEADS": 8, "SIZE": 128}


@pytest.mark.parametrize(
    ("module", "name", "types", "constants"),
    [
        (
            "products",
            "gemv",
            {"weight": "*bf16"},
            {**PRODUCT, "GATED": True, "PARTS": 2, "BLOCK_N": 4, "BLOCK_K": 2048},
        ),
        (
            "products",
            "dot",
            {"inputs": "*i32", "absmax": "*i32"},
            {
                **PRODUCT,
                "NF4": True,
                "GATED": False,
                "PARTS": 3,
                "BLOCK_M": 16,
                "BLOCK_N": 64,
                "BLOCK_K": 256,
                "STAGES": 3,
            },
        ),
        ("layers", "add_norm", {}, {"WIDTH": 4096, "SPLITS": 2, "GATED": True, "BLOCK": 4096}),
        (
            "layers",
            "attend",
            {},
            {**HEADS, "SELF": True, "GROUP": 16, "SPLITS": 1, "CHUNK": 64, "BLOCK": 64},
        ),
        ("layers", "combine", {"out": "*bf16"}, {**HEADS, "BLOCK": 16}),
        ("layers", "rotate", {}, {"HEADS": 40, "SIZE": 128, "BLOCK": 64}),
        (
            "nf4",
            "dequantize",
            {"out": "*bf16"},
            {"INPUTS": 4096, "STRIDE": 4128, "BLOCK": 4096},
        ),
    ],
)
def test_kernels_compile_for_a_gpu_that_is_not_here(
    module: str,
    name: str,
    types: dict[str, str],
    constants: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Assembly that the interpreter does not run is assembled too."""
    pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as compiled

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(import_module(f"generator.mllama.kernels.jit.{module}"), name)
    arguments = kernel.arg_names
    signature = {
        argument: "constexpr"
        if argument in constants
        else (POINTERS | types).get(argument, "*bf16")
        for argument in arguments
    }
    source = ASTSource(
        kernel, signature, {(arguments.index(one),): value for one, value in constants.items()}
    )
    made = compiled(source, target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"]


@pytest.mark.gpu
@pytest.mark.parametrize(("nf4", "rank"), [(False, 0), (True, 0), (True, 4)])
def test_on_a_gpu_logits_are_those_of_torch(nf4: bool, rank: int) -> None:
    from generator.mllama.kernels.available import difference

    model = mllama_in_memory(nf4=nf4, rank=rank, device="cuda")
    kernels = Decoder(model, kernels=True)
    assert kernels.step is not None
    assert difference(kernels, Decoder(model)) < 0.03


@pytest.mark.parametrize(("apart", "kept"), [(0.02, True), (0.2, False), (float("nan"), False)])
def test_kernels_that_give_other_logits_are_not_used(
    apart: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Any = SimpleNamespace(model=None)
    faster = SimpleNamespace(step=object())
    monkeypatch.setattr(load, "Decoder", lambda model, **_: faster)
    monkeypatch.setattr(load, "difference", lambda first, second: apart)
    notes: list[str] = []
    chosen: Any = load.by_kernels(plain, "all", notes)
    assert (chosen is faster) == kept
    assert [note.split(",")[1] for note in notes] == ([] if kept else [" so torch decodes"])


@pytest.mark.parametrize(
    ("variable", "asked", "wanted"),
    [
        (None, None, True),
        ("0", None, False),
        ("1", None, True),
        ("0", True, True),
        ("1", False, False),
    ],
)
def test_kernels_are_used_unless_they_are_turned_off(
    variable: str | None, asked: bool | None, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(load.KERNELS, raising=False)
    if variable is not None:
        monkeypatch.setenv(load.KERNELS, variable)
    assert load.wants_kernels(asked) is wanted
