"""The adapter over Pydantic AI, against a scripted endpoint that speaks Anthropic's interface."""

import asyncio
import json
import threading

import pytest

from memsieve.embed import Transport
from memsieve.errors import AnswerError, EndpointError, MissingExtraError, ParameterError
from memsieve.llm import (
    Anthropic,
    Completion,
    Model,
    PydanticAI,
    SchemaChat,
    Spent,
    StreamingChat,
)

pytest.importorskip("pydantic_ai", reason="the adapter needs pydantic-ai-slim")
pytest.importorskip("anthropic", reason="the adapter needs Anthropic's SDK")

NAME = "claude-haiku-4-5-scripted"  # a real name would one day warn of its end
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Wo wohnt Ana? 🏠"},
]


def message(text, stop="end_turn"):
    """An answer as the interface writes it: 10 tokens read, 4 written."""
    content = [{"type": "text", "text": text}] if text else []
    usage = {"input_tokens": 10, "output_tokens": 4}
    head = {"id": "1", "type": "message", "role": "assistant", "model": NAME}
    return head | {"content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def events(*pieces, whole=True):
    """A step of the script that streams pieces of text."""
    start = message("") | {"stop_reason": None}
    sent = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for piece in pieces:
        delta = {"type": "text_delta", "text": piece}
        sent.append({"type": "content_block_delta", "index": 0, "delta": delta})
    if whole:
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        sent += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 4}},
            {"type": "message_stop"},
        ]
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in sent)
    return (200, text, {"Content-Type": "text/event-stream"})


@pytest.fixture
def endpoint(scripted):
    scripted.as_step = lambda step: (200, step) if isinstance(step, dict) else step
    scripted.usual = lambda body: message("OK")
    return scripted


@pytest.fixture
def chat(endpoint):
    quick = Transport(timeout_s=0.3, max_retries=1)
    address = endpoint.url.removesuffix("/v1")
    with Anthropic(NAME, address, api_key="sk-secret", transport=quick) as opened:
        yield opened


@pytest.fixture
def model(chat):
    return Model(chat)


def test_a_completion_is_the_text_with_the_tokens_charged(chat, endpoint):
    endpoint.script = [message("In Lissabon.")]
    assert chat.complete(MESSAGES, max_tokens=9, top_p=0.9) == Completion("In Lissabon.", 10, 4)
    (body,) = endpoint.bodies
    assert body["path"] == "/v1/messages"
    assert body["system"] == "Be brief."
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user"]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (9, 0.0, 0.9)


def test_the_key_is_the_one_that_was_passed_and_nothing_else_is_sent(endpoint, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-environment")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Api-Key: other\nX-Spy: yes")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    address = endpoint.url.removesuffix("/v1")
    keys = iter(["one", "two"])
    with (
        Anthropic(NAME, address, api_key=lambda: next(keys)) as keyed,
        Anthropic(NAME, address) as keyless,
    ):
        for chat in (keyed, keyed, keyless):
            chat.complete(MESSAGES)
    sent = [{name.lower(): value for name, value in one.items()} for one in endpoint.headers]
    assert [one.get("x-api-key") for one in sent] == ["one", "two", None]
    for one in sent:
        assert not {"authorization", "x-spy"} & one.keys()
        assert not [name for name in one if name.startswith("x-stainless")]


def test_nothing_is_sent_before_a_question_is_asked(chat, endpoint):
    Model(chat)
    assert endpoint.connections == 0


def test_a_typed_answer_is_held_to_the_schema_by_the_endpoint(model, endpoint, facts):
    endpoint.script = [message('{"facts": [{"subject": "Ana"}]}')]
    assert model.ask(MESSAGES, facts).facts[0].subject == "Ana"
    form = endpoint.bodies[0]["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["required"] == ["facts"]
    assert isinstance(model.chat, SchemaChat)


def test_a_model_without_schemas_is_told_in_the_prompt(endpoint, fact):
    endpoint.script = [message('{"subject": "Ana"}')]
    with Anthropic("claude-scripted", endpoint.url.removesuffix("/v1")) as unknown:
        assert not unknown.takes_schemas
        assert Model(unknown).ask("Who?", fact) == fact("Ana")
    assert "output_config" not in endpoint.bodies[0]
    assert '"required": ["subject"]' in json.dumps(endpoint.bodies[0]).replace('\\"', '"')


@pytest.mark.parametrize(
    ("written", "stop"), [("{bad", "end_turn"), ("", "end_turn"), ('{"subject"', "max_tokens")]
)
def test_a_bad_answer_is_mended_or_one_clear_error(model, endpoint, fact, written, stop):
    endpoint.script = [message(written, stop), message('{"subject": "Ana"}')]
    assert model.ask("Who?", fact) == fact("Ana")
    endpoint.script = [message(written, stop)] * 2
    with pytest.raises(AnswerError, match=rf"^anthropic:{NAME}@http.* was asked for Fact"):
        model.ask("Who else?", fact)
    assert model.spent == Spent(4, 0, 3, 40, 16, 0)


@pytest.mark.parametrize(
    ("step", "problem", "n_requests"),
    [
        ((200, "{bad"), "Expected a JSON response", 1),
        ((200, [1]), "something else than a message: AttributeError.*check the address", 1),
        ((200, {"a": 1}), "something else than a message: TypeError", 1),
        ((401, {"error": {"message": "no sk-secret"}}), r"status_code: 401.*no \*\*\*", 1),
        ((429, "slow", {"Retry-After-Ms": "1"}), "status_code: 429", 2),
        ((500, "oops", {"Retry-After-Ms": "1"}), "status_code: 500", 2),
        ("silence", "timed out", 2),
    ],
)
def test_an_endpoint_that_fails_is_one_clear_error(model, endpoint, step, problem, n_requests):
    endpoint.script = [step] * 2
    with pytest.raises(EndpointError, match=f"^model anthropic:{NAME}@http.*{problem}") as error:
        model.write("?")
    assert "sk-secret" not in str(error.value)
    assert model.spent == Spent(calls=1, failed=1, unknown=1)
    assert len(endpoint.bodies) == n_requests


def test_an_endpoint_that_recovers_answers(model, endpoint):
    endpoint.script = [(429, "slow", {"Retry-After-Ms": "1"}), message("OK")]
    assert model.write("?") == "OK"


def test_an_answer_comes_in_pieces(model, endpoint):
    endpoint.script = [events("Ana ", "moved.")]
    assert list(model.stream("?")) == ["Ana ", "moved."]
    assert model.spent == Spent(calls=1, prompt_tokens=10, completion_tokens=4)
    assert isinstance(model.chat, StreamingChat)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (events("Ana ", whole=False), "ended its stream before the message"),
        ((401, "no"), "status_code: 401"),
    ],
)
def test_a_stream_that_fails_is_one_clear_error(model, endpoint, step, problem):
    endpoint.script = [step]
    with pytest.raises(EndpointError, match=problem):
        list(model.stream("?"))
    assert model.spent.failed == 1


def test_a_reader_that_leaves_early_is_counted(model, endpoint):
    endpoint.script = [events("Ana ", "moved.")]
    pieces = model.stream("?")
    assert next(pieces) == "Ana "
    pieces.close()
    assert model.spent == Spent(calls=1, failed=1, unknown=1)


def test_a_closed_adapter_opens_new_connections(chat, endpoint):
    chat.complete(MESSAGES)
    chat.complete(MESSAGES)
    assert endpoint.connections == 1
    chat.close()
    assert chat.complete(MESSAGES).text == "OK"
    assert endpoint.connections == 2


def test_threads_and_running_loops_may_ask(chat):
    answers = []

    async def inside():
        return chat.complete(MESSAGES).text

    def work():
        answers.append(chat.complete(MESSAGES).text)
        answers.append(asyncio.run(inside()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == ["OK"] * 8


def test_any_model_of_the_library_will_do(fact):
    from pydantic_ai.models.test import TestModel

    chat = PydanticAI(TestModel(custom_output_text='{"subject": "Ana"}'))
    assert repr(chat) == "PydanticAI('test:test@')"
    assert Model(chat).ask("Who?", fact) == fact("Ana")


@pytest.mark.parametrize(
    ("messages", "options", "rule"),
    [
        ([], {}, "needs at least one message"),
        ([{"role": "robot", "content": ""}], {}, "must have a role of system, user, assistant"),
        ([{"role": "user"}], {}, r"got the fields \['role'\]"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens must be >= 1, got 0"),
    ],
)
def test_a_request_outside_its_rules_is_not_sent(chat, endpoint, messages, options, rule):
    for ask in (chat.complete, chat.stream):
        with pytest.raises(ParameterError, match=rule):
            ask(messages, **options)
    assert endpoint.connections == 0


def test_a_name_is_no_model():
    with pytest.raises(ParameterError, match="must be a model object, got the name 'openai:x'"):
        PydanticAI("openai:x")


@pytest.mark.parametrize("key", ["", "säcret", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key):
    with pytest.raises(ParameterError, match=r"api_key must be printable ASCII and not empty$"):
        Anthropic(NAME, api_key=key)


def test_a_missing_library_names_its_install_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai.models.anthropic", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[llm\]'"):
        Anthropic(NAME)
