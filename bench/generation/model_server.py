"""Seconds of each task with a model that another server runs, and what its answers are worth.

python -m bench.generation.model_server INDEX IMAGE --model openai+http://127.0.0.1:8000/v1#NAME
python -m bench.generation.model_server INDEX IMAGE --transformers PYTHON --model FOLDER

With ``--transformers`` it starts ``transformers serve`` first, by the Python of an environment that
has ``transformers[serving]``, on a free port. Each task is run for the image, then as many reports
at once as the server is asked at the same time; a line says how many citations the model wrote and
how many held, and whether yes and no were scored by log-probabilities.
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
from tempfile import TemporaryDirectory

import httpx2

from generator.engines.arguments import add_remote_model, remote_options
from generator.engines.openai import OpenAIModel, connect
from generator.grounding.written import parse_cited_sentences
from generator.prompts import Task
from generator.request import GenerationRequest
from generator.tasks import TaskRunner
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
    print(f"yes and no: {model.scoring_note or 'scored by log-probabilities, if asked'}")
    began = time.perf_counter()
    with ThreadPoolExecutor(model.concurrency) as pool:
        texts = list(pool.map(lambda _: runner.report(study), range(model.concurrency)))
    seconds = time.perf_counter() - began
    print(
        f"{len(texts)} reports at once: {seconds:.1f} s, {60 * len(texts) / seconds:.0f} a minute"
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
    with TemporaryDirectory() as cache:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--device", arguments.device],
            env={**os.environ, "HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + 300
            while not _is_up(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit("the server did not start")
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
