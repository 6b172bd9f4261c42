"""A scripted endpoint that speaks OpenAI's interface, and the types that tests ask for."""

import json
from dataclasses import dataclass

import pytest

from memsieve.embed import Transport
from memsieve.llm import OpenAI


@dataclass(frozen=True)
class Fact:
    subject: str
    year: int | None = None


@dataclass(frozen=True)
class Facts:
    facts: tuple[Fact, ...]


@pytest.fixture
def fact():
    """The class of small records."""
    return Fact


@pytest.fixture
def facts():
    """The class of records that hold records."""
    return Facts


@pytest.fixture
def said():
    """An answer of the endpoint: 10 tokens read, 4 written, unless told otherwise."""

    def write(content, finish="stop", usage=(10, 4)):
        told = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
        message = {"role": "assistant", "content": content}
        return {"choices": [{"message": message, "finish_reason": finish}], "usage": told}

    return write


@pytest.fixture
def streamed():
    """A step of the script that streams pieces of text, then ends as told."""

    def write(*pieces, finish="stop", usage=(10, 4), end="data: [DONE]\n\n"):
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        if finish:
            events.append({"choices": [{"delta": {}, "finish_reason": finish}]})
        if usage:
            told = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
            events.append({"choices": [], "usage": told})
        text = ": hello\n\n" + "".join(f"data: {json.dumps(event)}\n\n" for event in events) + end
        return (200, text, {"Content-Type": "text/event-stream; charset=utf-8"})

    return write


@pytest.fixture
def chat(scripted):
    """A chat model behind the endpoint that waits little and tries twice."""
    scripted.as_step = lambda step: (200, step) if isinstance(step, dict) else step
    transport = Transport(timeout_s=0.3, max_retries=1, backoff_s=0.01)
    with OpenAI("m", scripted.url, transport=transport) as opened:
        yield opened
