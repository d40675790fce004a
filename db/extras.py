"""Packages that not every installation has, and the extras that install them.

    with importing():
        import torch            # UserError where it is not installed, with what to run

The command line reports such a package by the same sentence wherever it is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from db.errors import UserError

EXTRA_OF = {
    "accelerate": "model",
    "anyio": "serve",
    "bitsandbytes": "model",
    "datasets": "data",
    "fpdf": "serve",
    "gguf": "train",
    "h11": "serve",
    "highdicom": "serve",
    "httpx2": "serve",
    "huggingface_hub": "model",
    "jinja2": "model",
    "litestar": "serve",
    "matplotlib": "model",
    "mcp": "mcp",
    "mcp_types": "mcp",
    "msgspec": "serve",
    "multipart": "serve",
    "onnx": "model",
    "open_clip": "model",
    "openai": "openai",
    "opentelemetry": "serve",
    "pandas": "ray",
    "peft": "model",
    "prometheus_client": "serve",
    "psycopg": "postgres",
    "pyarrow": "data",
    "python_multipart": "serve",
    "ray": "ray",
    "scipy": "train",
    "sklearn": "train",
    "swagger_ui": "serve",
    "timm": "model",
    "tokenizers": "model",
    "torch": "model",
    "torchvision": "model",
    "transformers": "model",
    "trl": "train",
    "uvicorn": "serve",
}
"""Modules, and the extras that install them."""


def missing_package(error: ModuleNotFoundError) -> UserError | None:
    """Return what to tell a person; None for a module that no extra installs, which is a bug."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRA_OF:
        return None
    return UserError(
        f"this needs the package {name}, which is not installed: run scripts/install "
        f"{EXTRA_OF[name]}"
    )


@contextmanager
def importing() -> Iterator[None]:
    """Raise UserError for a package of an extra that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        told = missing_package(error)
        if told is None:
            raise
        raise told from error
