"""What a client of the service sends, and how it reads what comes back."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from tests.support.service.services import a_png

HTTP = "http://127.0.0.1"
LATER = {"prefer": "respond-async"}
STREAM = {"accept": "text/event-stream"}


def images(*seeds: int) -> list[tuple[str, tuple[str, bytes]]]:
    """The files of a form."""
    return [("images", (f"Doe^Jane {seed}.png", a_png(seed, size=(64, 64)))) for seed in seeds]


def a_message(*images: bytes, text: str = "What do you see?") -> dict[str, Any]:
    """Of a chat."""
    return {
        "role": "user",
        "content": [
            {"type": "text", "text": text},
            *(
                {
                    "type": "image_url",
                    "image_url": {
                        "url": f"data:image/png;base64,{base64.b64encode(image).decode()}",
                        "detail": "high",
                    },
                }
                for image in images
            ),
        ],
    }


def parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream, each with its data."""
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def settled(
    client: TestClient[Any] | httpx.Client, address: str, *, seconds: float = 60
) -> dict[str, Any]:
    """The document at an address once it is no longer 202, or a batch once it is finished."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = client.get(address)
        assert answer.status_code in (200, 202), answer.text
        document: dict[str, Any] = answer.json()
        if document.get("finished", answer.status_code == 200):
            return document
        time.sleep(0.02)
    pytest.fail(f"{address} did not settle")


def memory_mb() -> float:
    """The most memory that this process had so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
