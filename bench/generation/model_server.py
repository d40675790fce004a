"""Seconds of each task with a model that another server runs, and what its answers are worth.

python -m bench.generation.model_server INDEX IMAGE --model openai+http://127.0.0.1:8000/v1#NAME
python -m bench.generation.model_server INDEX IMAGE --transformers PYTHON --model FOLDER

With ``--transformers`` it starts ``transformers serve`` first, by the Python of an environment that
has ``transformers[serving]``, on a free port. Each task is run for the image, then as many reports
at once as the server is asked at the same time; a line says how many citations the model wrote and
how many held, and whether yes and no were scored by log-probabilities. Then an answer is streamed,
and another one cancelled after its first piece: a server that goes on writing it would keep the
next request waiting.
"""

import argparse
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import httpx2

from generator.engines.arguments import add_remote_model, remote_options
from generator.engines.openai import OpenAIModel, connect
from generator.grounding.written import parse_cited_sentences
from generator.prompts import Prompt, Task
from generator.request import GenerationRequest
from generator.study_canvas import study_canvas
from generator.tasks import TaskRunner
from generator.vision_language import DecodingOptions
from indexer.images.reader import read_radiograph
from retriever.options import SearchOptions
from retriever.search import Retriever

_SERVE = (
    "import sys; from transformers.cli.transformers import main; "
    "sys.argv = ['transformers', *sys.argv[1:]]; main()"
)
QUESTION = "What is the position of the trachea?"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", required=True, help="address; with --transformers a folder")
    parser.add_argument("--transformers", type=Path, metavar="PYTHON", help="start its server")
    parser.add_argument("--device", default="cpu", help="of that server (default: %(default)s)")
    parser.add_argument(
        "--tasks", nargs="+", default=["report", "caption", "ask", "classify"], metavar="TASK"
    )
    add_remote_model(parser)
    arguments = parser.parse_args()
    with _address(arguments) as address:
        model = connect(address, remote_options(arguments))
        try:
            measure(model, arguments)
        finally:
            model.close()
    return 0


def measure(model: OpenAIModel, arguments: argparse.Namespace) -> None:
    runner = TaskRunner(Retriever.open(arguments.index), model)
    study = runner.retrieve([arguments.image])
    print("\n".join(model.notes))

    def run(task: Task) -> None:
        question = QUESTION if task == "ask" else None
        request = GenerationRequest(task=task, question=question, options=SearchOptions())
        began = time.perf_counter()
        report = runner.write(request, study)
        seconds = time.perf_counter() - began
        written = parse_cited_sentences(report.as_written or "")
        marks = sum(len(one.numbers) for one in written)
        removed = sum(len(one.removed_citations) for one in report.statements)
        print(
            f"{task}: {seconds:.1f} s, {len(report.statements)} statements, {marks} citations "
            f"written, {removed} removed from these, {len(report.citations)} hold"
            + (f"; {report.warnings[0]}" if report.instead_of_model else "")
        )

    for task in arguments.tasks:
        run(task)
    stream(model, arguments.image)
    print(f"yes and no: {model.scoring_note or 'scored by log-probabilities, if asked'}")
    began = time.perf_counter()
    with ThreadPoolExecutor(model.concurrency) as pool:
        texts = list(pool.map(lambda _: runner.report(study), range(model.concurrency)))
    seconds = time.perf_counter() - began
    print(
        f"{len(texts)} reports at once: {seconds:.1f} s, {60 * len(texts) / seconds:.0f} a minute"
    )


def stream(model: OpenAIModel, image: Path) -> None:
    """Seconds of an answer in pieces, and of a short one after such an answer was cancelled."""
    canvas = study_canvas([read_radiograph(image).pixels], model.tile_size)
    prompt = Prompt(task="report", text="Write the findings of this film.", image=canvas)
    began = time.perf_counter()
    arrived = [time.perf_counter() - began for _ in model.stream(prompt)]
    print(
        f"streamed: {len(arrived)} pieces, the first after {arrived[0]:.2f} s, the last after "
        f"{arrived[-1]:.2f} s"
        if arrived
        else "streamed: an empty answer"
    )
    pieces = model.stream(prompt)
    next(pieces, None)
    began = time.perf_counter()
    pieces.close()  # type: ignore[attr-defined]
    closed = time.perf_counter() - began
    model.generate([prompt], DecodingOptions(max_new_tokens=1))
    print(
        f"cancelled: the answer was let go in {closed:.2f} s, and one token came "
        f"{time.perf_counter() - began:.2f} s after that was asked"
    )


@contextmanager
def _address(arguments: argparse.Namespace) -> Iterator[str]:
    """The address of the model, whose server runs meanwhile."""
    if arguments.transformers is None:
        yield arguments.model
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folder = str(Path(arguments.model).resolve())
    command = [str(arguments.transformers), "-c", _SERVE, "serve", folder, "--port", str(port)]
    with TemporaryDirectory() as cache, TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--device", arguments.device],
            env={**os.environ, "HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            until = time.monotonic() + 300
            while not _is_up(port):
                if process.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    last = "".join(said.readlines()[-3:]).strip() or "it said nothing"
                    raise SystemExit(f"the server did not start: {last}")
                time.sleep(0.5)
            yield f"openai+http://127.0.0.1:{port}/v1#{folder}"
        finally:
            process.terminate()
            process.wait()


def _is_up(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx2.HTTPError:
        return False


if __name__ == "__main__":
    raise SystemExit(main())
