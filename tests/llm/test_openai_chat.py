"""The chat adapter against a scripted HTTP server on the loopback interface."""

import pytest

from memsieve.embed import Transport
from memsieve.errors import EndpointError, MissingExtraError, ParameterError
from memsieve.llm import Chat, Completion, OpenAI, json_object

QUICK = Transport(timeout_s=2, max_retries=2, backoff_s=0.01)
MESSAGES = [
    {"role": "system", "content": "Answer in JSON."},
    {"role": "user", "content": "Wo wohnt Ana? 🏠"},
]


def completion(content, **more):
    """An answer as the interface writes it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    return {"object": "chat.completion", "choices": [choice], **more}


@pytest.fixture
def endpoint(scripted):
    """One that answers OK, unless its script says otherwise."""
    scripted.usual = lambda body: completion("OK")
    return scripted


@pytest.fixture
def chat(endpoint):
    with OpenAI("m", endpoint.url, transport=QUICK) as opened:
        yield opened


def test_a_completion_is_the_first_choice_with_the_tokens_charged(chat, endpoint):
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    endpoint.script = [(200, completion('{"city": "Zürich"}', usage=usage))]
    assert chat.complete(MESSAGES) == Completion('{"city": "Zürich"}', 12, 3)


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": None}}])
def test_tokens_that_are_not_told_are_none(chat, endpoint, usage):
    endpoint.script = [(200, completion("", **usage))]
    assert chat.complete(MESSAGES) == Completion("", None, None)


def test_a_request_says_what_was_asked_and_no_more(chat, endpoint):
    chat.complete(MESSAGES, max_tokens=128, temperature=0.1, top_p=0.95)
    assert endpoint.bodies == [
        {
            "path": "/v1/chat/completions",
            "model": "m",
            "messages": MESSAGES,
            "max_tokens": 128,
            "temperature": 0.1,
            "top_p": 0.95,
            "response_format": {"type": "json_object"},
        }
    ]
    assert "Authorization" not in endpoint.headers[0]


def test_json_mode_can_be_left_out(endpoint):
    with OpenAI("m", endpoint.url, json_mode=False, transport=QUICK) as chat:
        chat.complete(MESSAGES)
    assert "response_format" not in endpoint.bodies[0]


def test_nothing_is_sent_before_a_completion_is_asked_for(endpoint):
    chat = OpenAI("m", endpoint.url)
    assert isinstance(chat, Chat)
    repr(chat)
    chat.close()
    assert endpoint.connections == 0


def test_calls_share_a_connection_until_it_is_closed(chat, endpoint):
    chat.complete(MESSAGES)
    chat.complete(MESSAGES)
    assert endpoint.connections == 1
    chat.close()
    chat.complete(MESSAGES)
    assert endpoint.connections == 2


def test_the_key_is_a_bearer_token_asked_for_anew_and_shown_nowhere(endpoint):
    keys = iter(["sk-first", "sk-second"])
    endpoint.script = [(200, completion("")), (401, "wrong key sk-second")]
    with OpenAI("m", endpoint.url, api_key=lambda: next(keys), transport=QUICK) as chat:
        chat.complete(MESSAGES)
        with pytest.raises(EndpointError, match=r"answered 401: wrong key \*\*\* .*api_key"):
            chat.complete(MESSAGES)
        assert "sk-" not in repr(chat)
    sent = [headers["Authorization"] for headers in endpoint.headers]
    assert sent == ["Bearer sk-first", "Bearer sk-second"]


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_failure_is_tried_again(chat, endpoint, status):
    endpoint.script = [(status, "busy"), (status, "busy")]
    assert chat.complete(MESSAGES).text == "OK"
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize(("status", "way_out"), [(429, "rate limit"), (500, "endpoint says")])
def test_retries_end_in_one_line_with_a_way_out(chat, endpoint, status, way_out):
    endpoint.script = [(status, "busy\nvery")] * 3
    with pytest.raises(EndpointError, match=rf"answered {status}: busy very \(try 3\).*{way_out}"):
        chat.complete(MESSAGES)


def test_a_lasting_failure_is_not_tried_again(chat, endpoint):
    endpoint.script = [(400, "response_format is not supported")]
    with pytest.raises(EndpointError, match=r"answered 400: response_format is not.*\(try 1\)"):
        chat.complete(MESSAGES)
    assert len(endpoint.bodies) == 1


def test_silence_ends_after_the_time_out(endpoint):
    endpoint.script = ["silence"]
    hasty = Transport(timeout_s=0.2, max_retries=0)
    with (
        OpenAI("m", endpoint.url, transport=hasty) as chat,
        pytest.raises(EndpointError, match=r"did not answer within 0\.2 s \(try 1\)"),
    ):
        chat.complete(MESSAGES)


def test_an_endpoint_that_is_not_there_is_named():
    pytest.importorskip("httpx", reason="endpoints need httpx")
    with (
        OpenAI("m", "http://127.0.0.1:9/", transport=Transport(max_retries=0)) as chat,
        pytest.raises(EndpointError, match=r"127\.0\.0\.1:9/chat/completions cannot be reached"),
    ):
        chat.complete(MESSAGES)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<html>hello</html>", "something else than JSON: '<html>"),
        ({"error": "no"}, "JSON without a completion: KeyError"),
        (["no"], "JSON without a completion: TypeError"),
        ({"choices": []}, "JSON without a completion: IndexError"),
        ({"choices": [{"message": "no"}]}, "JSON without a completion: TypeError"),
        (completion("", usage=[1]), "JSON without a completion: AttributeError"),
        (completion(None), "content is no text but NoneType"),
        (completion([{"type": "text"}]), "content is no text but list"),
    ],
)
def test_an_answer_that_holds_no_completion_is_refused(chat, endpoint, answer, reason):
    endpoint.script = [(200, answer)]
    with pytest.raises(EndpointError, match=reason):
        chat.complete(MESSAGES)


@pytest.mark.parametrize(
    ("messages", "options", "rule"),
    [
        ([], {}, "needs at least one message"),
        ([{"role": "robot", "content": ""}], {}, "must have a role of system, user, assistant"),
        ([{"role": "user"}], {}, r"got the fields \['role'\]"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens must be >= 1, got 0"),
        (MESSAGES, {"temperature": -0.1}, "temperature must be >= 0, got -0.1"),
        (MESSAGES, {"temperature": float("nan")}, "temperature must be >= 0, got nan"),
        (MESSAGES, {"top_p": 0}, r"top_p must be in \(0, 1\], got 0"),
        (MESSAGES, {"top_p": 1.1}, r"top_p must be in \(0, 1\], got 1.1"),
    ],
)
def test_a_request_outside_its_rules_is_not_sent(chat, endpoint, messages, options, rule):
    with pytest.raises(ParameterError, match=rf"OpenAI\.complete.*{rule}"):
        chat.complete(messages, **options)
    assert endpoint.connections == 0


def test_a_missing_httpx_names_its_install_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[http\]'"):
        OpenAI("m", "http://127.0.0.1:9").complete(MESSAGES)


@pytest.mark.parametrize("key", ["", "säcret", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key):
    pytest.importorskip("httpx", reason="endpoints need httpx")
    with (
        OpenAI("m", "http://127.0.0.1:9", api_key=key) as chat,
        pytest.raises(ParameterError, match=r"api_key must be printable ASCII and not empty$"),
    ):
        chat.complete(MESSAGES)


@pytest.mark.parametrize("url", ["http://user:sk-secret@h/v1", "https://h/v1?key=sk-secret"])
def test_an_address_that_may_hold_a_key_is_refused_unseen(url):
    with pytest.raises(ParameterError, match="must hold no user name, query or fragment") as error:
        OpenAI("m", url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://h", "https://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ParameterError, match=r"OpenAI\.base_url must be an http\(s\) address"):
        OpenAI("m", url)


def test_a_model_must_be_named():
    with pytest.raises(ParameterError, match=r"OpenAI\.model must name a model"):
        OpenAI("", "http://h")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": {"b": [1, 2]}}\n```', {"a": {"b": [1, 2]}}),
        ('I {think} it is {"a": "}"} or {"a": 2}.', {"a": "}"}),
        ('[{"a": 1}]', {"a": 1}),
        ('{"broken": {"a": 1}', {"a": 1}),
        ("{}", {}),
        ('{"a": 1', None),
        ("{'a': 1}", None),
        ("no braces", None),
        ("", None),
        ('{"a":' * 5_000, None),
        ('{"a": ' + "1" * 5_000 + "}", None),
    ],
)
def test_the_first_json_object_of_a_text_is_found(text, found):
    assert json_object(text) == found
