"""POST /v1/chat/completions: serve clients of OpenAI's chat protocol."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from anyio.to_thread import run_sync
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from api.events import Event, Failure, events
from api.export.text import observation_lines, opening_lines, warning_lines, with_marks
from api.middleware.access import GENERATE, READ, Caller
from api.middleware.connection import while_connected
from api.middleware.problems import DESCRIBED, GUARDED, Problem, details_of, problem_of, problems
from api.middleware.problems import MEDIA_TYPE as PROBLEM
from api.pipeline.backends import Token, TokenCount
from api.pipeline.pipeline import Pipeline
from api.pipeline.stages import Progress, WarningLine
from api.routes.generations import document
from api.schemas.chat import (
    AnswerMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    ModelList,
    Usage,
)
from api.settings import Settings
from api.uploads import decode_uploads, read_body
from db.app.generation import NOTICE, Citation, Generation

_COMPLETION = ResponseSpec(
    ChatCompletion,
    description="The report, or with `stream` its pieces as server-sent events.",
    generate_examples=False,
)


def _answer_error(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """A problem document with the member ``error`` that OpenAI's clients read."""
    details = details_of(error)
    problem = Problem.of(details)
    return Response(
        {**msgspec.to_builtins(problem), "error": _error(problem)},
        status_code=problem.status,
        media_type=PROBLEM,
        headers=details.headers,
    )


def _error(problem: Problem) -> dict[str, str]:
    return {"message": problem.detail, "type": problem.title, "code": str(problem.status)}


class ChatController(Controller):
    path = "/v1"
    tags = ("chat",)
    exception_handlers = dict.fromkeys(DESCRIBED, _answer_error)

    @get(
        "/models",
        operation_id="listModels",
        summary="List the models",
        opt=READ,
        responses=problems(*GUARDED),
    )
    async def models(self, pipeline: NamedDependency[Pipeline]) -> ModelList:
        """The model chooses the task: `grounded-cxr` writes reports, `grounded-cxr-ask` answers the
        question in the last message."""
        return ModelList.of(pipeline.tasks)

    @post(
        "/chat/completions",
        operation_id="createChatCompletion",
        summary="Write about the images of a message",
        opt=GENERATE,
        status_code=HTTP_200_OK,
        before_request=read_body,
        responses={
            200: _COMPLETION,
            **problems(400, 404, 408, 409, 413, 422, 503, *GUARDED),
        },
    )
    async def complete(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[ChatRequest],
        pipeline: NamedDependency[Pipeline],
        settings: NamedDependency[Settings],
        caller: NamedDependency[Caller],
    ) -> Response[Any]:
        """Send the images as data URLs. `grounded-cxr-ask` answers the question in the user's last
        text; the other models ignore the text and write a report, classes or a caption.

        Every answer begins with the research-use line and an out-of-distribution warning. A stream
        carries the text before its citations are checked; the last chunk carries the
        checked text as `report`, and `citations`.
        """
        wanted = data.request()
        pipeline.check_task(wanted.task)
        uploads = await run_sync(lambda: decode_uploads(data.images(), limit=settings.max_images))
        if data.stream:
            pipeline.check_capacity(caller)
            progress = events(lambda emit: pipeline.generate(uploads, wanted, caller, emit=emit))
            chunks = _chunks(progress, pipeline, data, caller)
            return Stream(chunks, media_type="text/event-stream")
        counts: list[TokenCount] = []

        def emit(event: Progress) -> None:
            if isinstance(event, TokenCount):
                counts.append(event)

        made = await while_connected(
            request, lambda: pipeline.generate(uploads, wanted, caller, emit=emit)
        )
        return Response(await _completion(made, pipeline, data, counts[-1] if counts else None))


async def _completion(
    made: Generation, pipeline: Pipeline, asked: ChatRequest, tokens: TokenCount | None
) -> ChatCompletion:
    text = _text(made)
    return ChatCompletion(
        id=f"chatcmpl-{made.id}",
        created=int(made.created_at.timestamp()),
        model=asked.model,
        choices=[Choice(message=AnswerMessage(content=text))],
        usage=Usage.of(tokens, asked.texts, text),
        generation=made.id,
        citations=await _citations(made, pipeline),
    )


async def _citations(made: Generation, pipeline: Pipeline) -> list[Citation]:
    report = await document(pipeline.current, made)
    return [citation for statement in report.statements for citation in statement.citations]


async def _chunks(
    progress: AsyncIterator[Event], pipeline: Pipeline, asked: ChatRequest, caller: Caller
) -> AsyncIterator[bytes]:
    """The stream as OpenAI's clients read it; the last chunk carries what the report cites.

    The streamed tokens were not checked yet: ``report`` is the checked text.
    """
    created = int(pipeline.clock().timestamp())

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return _event(
            {
                "id": f"chatcmpl-{caller.request_id}",
                "object": "chat.completion.chunk",
                "created": created,
                "model": asked.model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                **more,
            }
        )

    yield chunk({"role": "assistant", "content": f"{NOTICE}\n"})
    streamed, tokens = False, None
    known: set[str] = set()
    async for event in progress:
        if isinstance(event, Token):
            streamed = True
            yield chunk({"content": event.text})
        elif isinstance(event, TokenCount):
            tokens = event
        elif isinstance(event, WarningLine):
            known.add(event.text)
            yield chunk({"content": f"{event.text}\n"})
        elif isinstance(event, Failure):
            yield _event({"error": _error(problem_of(event.error))})
            return
        elif isinstance(event, Generation):
            if not streamed:
                for line in warning_lines(event):
                    if line not in known:
                        yield chunk({"content": f"{line}\n"})
                yield chunk({"content": _body(event)})
            cited = msgspec.to_builtins(await _citations(event, pipeline))
            more = {"generation": str(event.id), "citations": cited, "report": _text(event)}
            if asked.stream_options is not None and asked.stream_options.include_usage:
                usage = Usage.of(tokens, asked.texts, _text(event))
                more["usage"] = msgspec.to_builtins(usage)
            yield chunk({}, "stop", **more)
    yield b"data: [DONE]\n\n"


def _text(made: Generation) -> str:
    return "\n".join((*opening_lines(made), _body(made)))


def _body(made: Generation) -> str:
    """One sentence per line with its citation numbers, a report under the titles of its sections; a
    classification with one observation per line."""
    if made.task == "classify":
        return "\n".join(observation_lines(made))
    if made.task != "report":
        return "\n".join(with_marks(statement) for statement in made.statements) or made.text
    lines = []
    for section in ("findings", "impression"):
        statements = [s for s in made.statements if s.section == section]
        if statements:
            lines += [section.upper(), *(with_marks(statement) for statement in statements)]
    return "\n".join(lines) or made.text


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"
