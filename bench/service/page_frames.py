"""Frames of 50 interactions with the page, and how soon a report has its maps, by Chromium's trace.

    python -m bench.service.page_frames data/index --image chest.png --out results/page_frames.json

A report is written on the image and on a second view; then sentences are walked through, maps laid
and faded, windows and zoom changed, points measured, cases opened and linked, sentences edited and
the list of keys opened, by keyboard and mouse, in a window of 1440 x 900. Chromium records what its
main thread does. A frame lasts at least as long as the longest task between two of them, so the
longest task of every interaction is counted. The script fails where one is above 100 ms, or where
the maps of the first report come more than 1 s after the end of its text. Run it on a quiet
machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.service.bounds import served
from db.files import write_text
from recipes.drawn_example.browser import headless_chromium

MOST_MS = 100.0
MOST_SECONDS = 1.0
_WINDOW = (1440, 900)
_CATEGORIES = "devtools.timeline,disabled-by-default-devtools.timeline,blink.user_timing"
_MARK = "interaction: "
_SECONDS = 120.0
_REST = 0.25
"""Seconds after an interaction in which what it started still counts."""

_WATCH = """
window.ends = {text: 0, report: 0, map: 0};
new MutationObserver(() => {
  const now = performance.now();
  if (document.getElementById("draft-text").textContent) window.ends.text = now;
  if (!window.ends.report && document.querySelector(".statement")) window.ends.report = now;
  if (!window.ends.map && document.querySelector("#viewer .map")) window.ends.map = now;
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


class Page:
    """The page in a browser whose main thread is traced."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def script(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def until(self, code: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while not self.script(f"return Boolean({code})"):
            if time.monotonic() > deadline:
                sys.exit(f"the page never came to: {code}")
            time.sleep(0.02)

    def key(self, *keys: str) -> None:
        for one in keys:
            for kind in ("keyDown", "keyUp"):
                text = {"text": one} if len(one) == 1 and kind == "keyDown" else {}
                self.driver.execute_cdp_cmd(
                    "Input.dispatchKeyEvent", {"type": kind, "key": one, **text}
                )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, **more},
        )

    def drag(self, across: float, along: float) -> None:
        """Over the X-ray, from its middle, in ten steps."""
        x, y = self.script(
            "const b = document.querySelector('#viewer .stage').getBoundingClientRect();"
            "return [b.left + b.width / 2, b.top + b.height / 2]"
        )
        self.mouse("mousePressed", x, y)
        for step in range(1, 11):
            self.mouse("mouseMoved", x + step * across / 10, y + step * along / 10, buttons=1)
        self.mouse("mouseReleased", x + across, y + along)

    def click(self, selector: str) -> None:
        self.script("document.querySelector(arguments[0]).click()", selector)

    def mark(self, name: str) -> None:
        self.script("performance.mark(arguments[0])", _MARK + name)

    def measure(self, name: str, interact: Callable[[], None]) -> None:
        self.mark(name)
        interact()
        time.sleep(_REST)


def longest_tasks(events: Sequence[Mapping[str, Any]], duration: str = "dur") -> dict[str, float]:
    """Of a trace: milliseconds of the longest task of the main thread after each mark.

    ``duration`` is "dur" for the time that passed, "tdur" for that on the processor.
    """
    marks = [one for one in events if str(one.get("name", "")).startswith(_MARK)]
    marks.sort(key=lambda one: float(one["ts"]))
    threads = {(one["pid"], one["tid"]) for one in marks}
    tasks = [
        (float(one["ts"]), one[duration] / 1000)
        for one in events
        if one.get("name") == "RunTask" and duration in one and (one["pid"], one["tid"]) in threads
    ]
    found = {}
    for mark, after in pairwise([*marks, {"ts": float("inf")}]):
        own = [ms for start, ms in tasks if float(mark["ts"]) <= start < float(after["ts"])]
        found[str(mark["name"]).removeprefix(_MARK)] = round(max(own, default=0.0), 1)
    return found


def interactions(page: Page) -> list[tuple[str, Callable[[], None]]]:
    """Fifty of them by name; each starts where the one before it ended."""

    def keys(*names: str) -> Callable[[], None]:
        return lambda: page.key(*names)

    def click(selector: str) -> Callable[[], None]:
        return lambda: page.click(selector)

    walk = [(f"next sentence {n}", keys("j")) for n in range(1, 9)]
    back = [(f"previous sentence {n}", keys("k")) for n in range(1, 7)]
    maps = [("map of the sentence", keys("o")), ("map off", keys("o"))]
    fade = [(f"{name} map", keys(key)) for name, key in (("fainter", "["), ("stronger", "]"))]
    windows = [(f"window {key}", keys(key)) for key in "2341"]
    zooms = [(f"zoom in {n}", keys("+")) for n in range(1, 4)]
    drags: list[tuple[str, Callable[[], None]]] = [
        ("drag the window", lambda: page.drag(120, 40)),
        ("drag it back", lambda: page.drag(-120, -40)),
    ]
    chips = [".hit:nth-child(1)", ".hit:nth-child(2)", ".hit:nth-child(3)"]
    cases = [(f"open case {n}", click(one)) for n, one in enumerate(chips, start=1)]
    return [
        *walk, *maps, *fade, *back, *windows, ("invert", keys("i")), ("invert back", keys("i")),
        *zooms, ("reset", keys("0")), *drags, ("next view", keys("n")), ("one view", keys("v")),
        ("two views", keys("v")), ("ruler", keys("r")), ("no ruler", keys("r")), *cases,
        ("link the case", keys("l")), ("zoom both", keys("+")), ("reset both", keys("0")),
        ("close the case", keys("Escape")), ("template", click("[data-view=template]")),
        ("text", click("[data-view=text]")), ("numbers", click(".seen .label")),
        ("list of keys", keys("?")), ("close the list", click("#keys-close")),
        ("edit a sentence", click(".edit-sentence")), ("leave it", keys("Escape")),
        ("history", click("#history summary")),
    ]  # fmt: skip


def _trace(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    messages = [json.loads(entry["message"])["message"] for entry in log]
    return [one["params"] for one in messages if one["method"] == "Tracing.dataCollected"]


def measure(address: str, images: Sequence[Path]) -> dict[str, Any]:
    """Return the figures of one run. ``images``: the views of a study."""
    with headless_chromium(*_WINDOW, trace=_CATEGORIES) as driver:
        page = Page(driver)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": _WINDOW[0], "height": _WINDOW[1], "deviceScaleFactor": 1, "mobile": False},
        )
        driver.get(address)
        page.until("document.getElementById('index-line').textContent")
        page.script(_WATCH)
        driver.find_element("id", "files").send_keys("\n".join(str(one) for one in images))
        page.until("!document.getElementById('write').disabled")
        page.key("w")
        page.until("document.querySelector('.statement .where')")
        page.click(".statement .where")
        page.until("document.querySelector('#viewer .map')")
        page.click(".statement .where")
        ends = page.script("return window.ends")
        time.sleep(2)  # thumbnails of the cases
        page.script("document.activeElement.blur()")
        for name, interact in interactions(page):
            page.measure(name, interact)
        page.mark("end")
        events = _trace(driver.get_log("performance"))
        longest, busy = longest_tasks(events), longest_tasks(events, "tdur")
        version = driver.capabilities["browserVersion"]
    for each in (longest, busy):
        each.pop("end", None)
    if not longest or not max(longest.values()):
        sys.exit("Chromium recorded no task: its trace has another form than this script reads")
    end_of_text = ends["text"] or ends["report"]
    return {
        "interactions": len(longest),
        "longest_task_ms": max(longest.values()),
        "above_100_ms": sorted(n for n, ms in longest.items() if ms > MOST_MS),
        "longest_task_on_the_processor_ms": max(busy.values()),
        "tasks_ms": longest,
        "tasks_on_the_processor_ms": busy,
        "seconds_from_text_to_report": round((ends["report"] - end_of_text) / 1000, 3),
        "seconds_from_text_to_map": round((ends["map"] - end_of_text) / 1000, 3),
        "chromium": version,
        "processors": os.cpu_count(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index")
    parser.add_argument("--image", type=Path, action="append", required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FILE")
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(asked.index), Path(folder)) as (address, _),
    ):
        figures = measure(address, [image.absolute() for image in asked.image])
    document = json.dumps(figures, indent=2)
    if asked.out is not None:
        write_text(asked.out, document + "\n")
    sys.stdout.write(document + "\n")
    if figures["above_100_ms"]:
        sys.exit(f"frames above {MOST_MS:.0f} ms: {', '.join(figures['above_100_ms'])}")
    if figures["seconds_from_text_to_map"] > MOST_SECONDS:
        sys.exit("the maps came more than 1 s after the end of the text")


if __name__ == "__main__":
    main()
