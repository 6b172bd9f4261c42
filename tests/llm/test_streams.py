"""Answers in pieces, as server-sent events over real HTTP."""

import json

import pytest

from memsieve.errors import AnswerError, EndpointError, MissingExtraError, ParameterError
from memsieve.llm import Completion, Model, OpenAI, Spent

EVENTS = {"Content-Type": "text/event-stream"}


@pytest.fixture
def model(chat):
    return Model(chat)


def test_the_pieces_come_one_by_one_and_are_counted_at_the_end(model, scripted, streamed):
    scripted.script = [streamed("Ana ", "moved", ".")]
    pieces = model.stream("Sum up.", max_tokens=9)
    assert next(pieces) == "Ana "
    assert model.spent == Spent()
    assert list(pieces) == ["moved", "."]
    assert model.spent == Spent(calls=1, prompt_tokens=10, completion_tokens=4)
    assert scripted.bodies[0]["stream"] is True
    assert scripted.bodies[0]["max_tokens"] == 9


def test_what_was_streamed_is_kept_for_both_ways_to_ask(model, scripted, streamed):
    scripted.script = [streamed("Ana ", "moved.")]
    assert "".join(model.stream("Sum up.")) == model.write("Sum up.") == "Ana moved."
    assert list(model.stream("Sum up.")) == ["Ana moved."]
    assert model.spent == Spent(1, 2, 0, 10, 4)


def test_without_a_closing_mark_or_a_bill_a_stream_is_whole_all_the_same(model, scripted, streamed):
    scripted.script = [streamed("Hi", usage=None, end="")]
    assert list(model.stream("?")) == ["Hi"]
    assert model.spent == Spent(calls=1, unknown=1)


def test_an_endpoint_that_does_not_stream_answers_in_one_piece(model, scripted, said):
    scripted.script = [said("Ana moved.")]
    assert list(model.stream("?")) == ["Ana moved."]
    assert model.spent == Spent(calls=1, prompt_tokens=10, completion_tokens=4)


def test_a_chat_model_that_does_not_stream_answers_in_one_piece():
    class Plain:
        def complete(self, messages, *, max_tokens, temperature, top_p):
            return Completion("Hello", 1, 1)

    assert list(Model(Plain()).stream("?")) == ["Hello"]


def test_a_reader_that_leaves_early_is_counted_and_nothing_is_kept(model, scripted, streamed):
    scripted.script = [streamed("Ana ", "moved."), streamed("Again.")]
    pieces = model.stream("?")
    next(pieces)
    pieces.close()
    assert model.spent == Spent(calls=1, failed=1, unknown=1)
    assert list(model.stream("?")) == ["Again."]


@pytest.mark.parametrize(
    ("pieces", "finish", "problem"),
    [(["Ana mo"], "length", "cut off: raise max_tokens, now 512"), ([], "stop", "is empty")],
)
def test_a_text_that_is_no_whole_one_ends_in_an_error(
    model, scripted, streamed, pieces, finish, problem
):
    scripted.script = [streamed(*pieces, finish=finish)]
    read = []
    with pytest.raises(AnswerError, match=problem) as error:
        read.extend(model.stream("?"))
    assert error.value.written == "".join(pieces)
    assert model.spent == Spent(calls=1, failed=1, prompt_tokens=10, completion_tokens=4)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ((429, "slow"), "answered 429: slow"),
        ((500, "oops sk-secret"), r"answered 500: oops \*\*\*"),
        ("silence", "fell silent: raise timeout_s"),
        ((200, "<html>"), "something else than JSON: '<html>"),
        ((200, "data: {bro\n\n", EVENTS), "something else than JSON: '{bro"),
        ((200, "data: [1]\n\n", EVENTS), "something else than a completion"),
        ((200, 'data: {"choices": [[]]}\n\n', EVENTS), "something else than a completion"),
        ((200, 'data: {"error": "sk-secret is out"}\n\n', EVENTS), r"broke off: \*\*\* is out"),
        ((200, "", EVENTS), "ended its stream before the message"),
        (
            (200, f"data: {json.dumps({'choices': [{'delta': {'content': 'Ana'}}]})}\n\n", EVENTS),
            "ended its stream before the message",
        ),
        (
            (200, "data: {}", EVENTS | {"Content-Encoding": "gzip"}),
            "broke off: .* incorrect header",
        ),
    ],
)
def test_a_stream_that_fails_is_one_clear_error(scripted, chat, step, problem):
    scripted.script = [step]
    with OpenAI("m", scripted.url, api_key="sk-secret", transport=chat.transport) as keyed:
        model = Model(keyed)
        with pytest.raises(EndpointError, match=problem):
            list(model.stream("?"))
    assert model.spent == Spent(calls=1, failed=1, unknown=1)
    assert len(scripted.bodies) == 1


def test_an_endpoint_that_is_not_there_is_one_clear_error():
    with pytest.raises(EndpointError, match="cannot be reached or broke off"):
        list(OpenAI("m", "http://127.0.0.1:9").stream([{"role": "user", "content": "?"}]))


def test_a_request_outside_its_rules_is_no_answer(model, scripted):
    with pytest.raises(ParameterError, match="max_tokens must be >= 1"):
        list(model.stream("?", max_tokens=0))
    assert scripted.bodies == []


def test_a_missing_httpx_names_its_install_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[http\]'"):
        list(Model(OpenAI("m", "http://127.0.0.1:9")).stream("?"))
