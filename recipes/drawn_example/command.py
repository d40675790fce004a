"""Make the drawn example: draw studies, index them, serve them, report on one, take a screenshot.

scripts/drawn_example --out docs/assets/page.png
"""

import argparse
import io
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from db.errors import UserError
from db.files import replacing
from indexer import __main__ as indexer
from recipes.drawn_example.browser import has_chromium, headless_chromium
from recipes.drawn_example.chest import Finding, draw_chest
from recipes.drawn_example.studies import invent, write_dataset, write_studies

ROOT = Path(__file__).resolve().parents[2]
QUERY: tuple[int, tuple[Finding, ...]] = (1002, ("Left Effusion", "Pacemaker"))
"""Seed and findings of the X-ray that the report is about; no indexed study has this seed."""
INDICATION = "Shortness of breath."
SHOWN = "effusion"
"""The screenshot opens the case behind the first statement with this word."""
WINDOW = (1440, 900)
LONGEST_WAIT = 300.0
"""Seconds until the service or a report counts as hung."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="scripts/drawn_example", description=__doc__)
    parser.add_argument(
        "--out", type=Path, metavar="PNG", help="where the screenshot goes; needs chromium"
    )
    parser.add_argument("--studies", type=int, default=120, help="how many to draw (default: 120)")
    parser.add_argument("--side", type=int, default=512, help="pixels of a side (default: 512)")
    parser.add_argument(
        "--model",
        default="pretrained/generator",
        help="as in `api serve` (default: pretrained/generator)",
    )
    parser.add_argument(
        "--only-draw",
        type=Path,
        metavar="DIR",
        help="only write images and reports to DIR: studies.csv for `indexer build`, and "
        "train.jsonl and val.jsonl for `finetune train --dataset DIR`",
    )
    asked = parser.parse_args(arguments)
    if asked.only_draw is not None:
        studies = invent(asked.studies)
        asked.only_draw.mkdir(parents=True, exist_ok=True)
        write_studies(studies, asked.only_draw, side=asked.side)
        write_dataset(studies, asked.only_draw)
        sys.stdout.write(f"{len(studies)} drawn studies are in {asked.only_draw}\n")
        return
    if asked.out is not None and not has_chromium():
        sys.exit("--out needs a browser: install chromium and chromium-driver, or leave it out")
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = make(Path(folder), asked.studies, asked.side, asked.model, asked.out)
    except UserError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{report}\n")


def make(folder: Path, studies: int, side: int, model: str, out: Path | None) -> str:
    """Make the example in ``folder``; return the report on the drawn X-ray, as text."""
    table = write_studies(invent(studies), folder, side=side)
    index = folder / "index"
    build = ("build", "--source", "csv", "--data-dir", str(table), "--name", "drawn")
    if indexer.main([*build, "--out", str(index)]) != 0:
        raise UserError(f"no index was built from {table}")
    query = folder / "drawn-chest.png"
    Image.fromarray(draw_chest(*QUERY, side=2 * side)).save(query)
    with _serving(index, query, model) as address:
        if out is not None:
            with replacing(out) as path:
                path.write_bytes(_screenshot(address))
        return _report(address, query)


@contextmanager
def _serving(index: Path, sample: Path, model: str) -> Iterator[str]:
    """The address of a service on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "api", "serve", str(index), "--port", str(port)]
    command += ["--sample", str(sample), "--database", str(index.with_name("app.sqlite3"))]
    command += ["--model", model]
    log = index.with_name("service.log")
    with log.open("wb") as out:
        service = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(service, address, log)
        yield address
    finally:
        service.terminate()
        service.wait()


def _wait_until_ready(service: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + LONGEST_WAIT
    while service.poll() is None and time.monotonic() < until:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/ready").status_code == httpx.codes.OK:
                return
        time.sleep(0.2)
    raise UserError(f"the service did not start: {log.read_text(errors='replace').strip()}")


def _report(address: str, image: Path) -> str:
    files = {"images": (image.name, image.read_bytes(), "image/png")}
    data = {"indication": INDICATION}
    answer = httpx.post(f"{address}/reports", files=files, data=data, timeout=LONGEST_WAIT)
    answer.raise_for_status()
    report: dict[str, Any] = json.loads(answer.content)
    lines = []
    for statement in report["statements"]:
        numbers = sorted({citation["number"] for citation in statement["citations"]})
        lines.append(f"{statement['text']} {''.join(f'[{n}]' for n in numbers) or '[image only]'}")
    return "\n".join([*lines, report["notice"]])


def _screenshot(address: str) -> bytes:
    """The page with a report on the sample X-ray and its first cited case open, as PNG."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    with headless_chromium(*WINDOW, "--hide-scrollbars") as driver:
        wait = WebDriverWait(driver, LONGEST_WAIT)

        def first(selector: str) -> Any:
            found = driver.find_elements(By.CSS_SELECTOR, selector)
            return found[0] if found and found[0].is_displayed() else None

        metrics = {"width": WINDOW[0], "height": WINDOW[1], "deviceScaleFactor": 1}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False})
        driver.get(address)
        driver.find_element(By.ID, "indication").send_keys(INDICATION)
        wait.until(lambda _: first("#sample")).click()
        wait.until(lambda _: first(".statement .chip"))
        driver.execute_script(
            "const all = [...document.querySelectorAll('.statement:has(.chip)')];"
            "const chosen = all.find((one) => one.textContent.includes(arguments[0])) ?? all[0];"
            "chosen.querySelector('.chip').click();",
            SHOWN,
        )
        wait.until(lambda _: first("#case mark"))
        loaded = "return [...document.images].every((one) => one.complete && one.naturalWidth > 0)"
        wait.until(lambda _: first("#case .stage img") and driver.execute_script(loaded))
        driver.execute_script("scrollTo(0, 0); document.activeElement.blur()")
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    out = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
