"""The endpoint adapter against a scripted HTTP server on the loopback interface."""

import logging
import time

import numpy as np
import pytest

from memsieve.embed import OpenAI, Transport, from_spec
from memsieve.errors import EndpointError, MissingExtraError, ParameterError

QUICK = Transport(timeout_s=2, max_retries=2, backoff_s=0.01)


def good(body, dimensions=4):
    """Embeddings (length of text, 1, 0, ...), not normalised, in reversed order."""
    rows = [
        [len(text), 1] + [0] * (body.get("dimensions", dimensions) - 2) for text in body["input"]
    ]
    data = [{"index": i, "object": "embedding", "embedding": row} for i, row in enumerate(rows)]
    return {"object": "list", "data": data[::-1], "model": body["model"]}


@pytest.fixture
def endpoint(scripted):
    """One that answers with good embeddings, unless its script says otherwise."""
    scripted.usual = good
    return scripted


@pytest.fixture
def embedder(endpoint):
    with OpenAI("m", endpoint.url, batch_size=3, transport=QUICK) as opened:
        yield opened


def test_vectors_come_back_in_the_order_of_the_texts_with_length_one(embedder):
    vectors = embedder.embed(["a", "bbb"])
    assert vectors.dtype == np.float32
    expected = [[1 / 2**0.5, 1 / 2**0.5, 0, 0], [3 / 10**0.5, 1 / 10**0.5, 0, 0]]
    assert vectors == pytest.approx(np.array(expected))


def test_texts_travel_in_batches_and_blank_ones_stay_here(embedder, endpoint):
    vectors = embedder.embed(["a", "", "b", "c", " \n", "d", "e"])
    assert [body["input"] for body in endpoint.bodies] == [["a", "b", "c"], ["d", "e"]]
    assert not vectors[[1, 4]].any()
    assert vectors[[0, 2, 3, 5, 6]].any(axis=1).all()


def test_a_request_says_model_and_address_and_no_more_than_was_asked(embedder, endpoint):
    embedder.embed(["a"])
    assert endpoint.bodies == [{"path": "/v1/embeddings", "model": "m", "input": ["a"]}]
    assert "Authorization" not in endpoint.headers[0]


def test_nothing_is_sent_before_it_is_needed(endpoint):
    embedder = OpenAI("m", endpoint.url, asked_dimensions=256)
    assert (embedder.dimensions, embedder.identity) == (256, f"openai:m@{endpoint.url}#256")
    assert embedder.embed([]).shape == (0, 256)
    assert endpoint.connections == 0


def test_one_request_finds_out_the_dimensions(embedder, endpoint):
    assert (embedder.dimensions, embedder.dimensions) == (4, 4)
    assert embedder.embed(["", ""]).shape == (2, 4)
    assert len(endpoint.bodies) == 1


def test_asked_dimensions_are_sent(endpoint):
    with from_spec(f"openai:m@{endpoint.url}#3") as embedder:
        assert embedder.embed(["a"]).shape == (1, 3)
    assert endpoint.bodies[0]["dimensions"] == 3


def test_calls_share_a_connection_until_it_is_closed(embedder, endpoint):
    embedder.embed(["a"])
    embedder.embed(["b"])
    assert endpoint.connections == 1
    embedder.close()
    embedder.embed(["c"])
    assert endpoint.connections == 2


def test_the_key_is_a_bearer_token_and_appears_nowhere_else(endpoint):
    with OpenAI("m", endpoint.url, api_key="sk-secret", transport=QUICK) as embedder:
        embedder.embed(["a"])
        assert endpoint.headers[0]["Authorization"] == "Bearer sk-secret"
        assert "secret" not in repr(embedder) + embedder.identity


def test_a_key_function_is_asked_for_every_request(endpoint):
    keys = iter(["first", "second"])
    with OpenAI("m", endpoint.url, api_key=lambda: next(keys), transport=QUICK) as embedder:
        embedder.embed(["a"])
        embedder.embed(["b"])
    assert [h["Authorization"] for h in endpoint.headers] == ["Bearer first", "Bearer second"]


def test_an_error_that_quotes_the_key_is_shown_without_it(endpoint):
    endpoint.script = [(401, "wrong key sk-secret", {})]
    with (
        OpenAI("m", endpoint.url, api_key="sk-secret", transport=QUICK) as embedder,
        pytest.raises(EndpointError, match=r"answered 401: wrong key \*\*\* .*valid api_key"),
    ):
        embedder.embed(["a"])


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_tried_again(embedder, endpoint, status, caplog):
    endpoint.script = [(status, "busy", {}), (status, "busy", {})]
    with caplog.at_level(logging.WARNING, logger="memsieve.embed.transport"):
        assert embedder.embed(["a"]).any()
    assert len(endpoint.bodies) == 3
    assert [record.getMessage().split(" failed ")[1] for record in caplog.records] == [
        "on try 1, next in 0.0 s",
        "on try 2, next in 0.0 s",
    ]


def test_a_body_that_is_not_what_its_header_says_is_one_error(embedder, endpoint):
    endpoint.script = [(200, "no gzip at all", {"Content-Encoding": "gzip"})]
    with pytest.raises(EndpointError, match="an answer that cannot be read"):
        embedder.embed(["a"])
    assert len(endpoint.bodies) == 1


def test_retries_end(embedder, endpoint):
    endpoint.script = [(503, "busy", {})] * 3
    with pytest.raises(EndpointError, match=r"answered 503: busy \(try 3\)"):
        embedder.embed(["a"])
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
def test_a_lasting_failure_is_not_tried_again(embedder, endpoint, status):
    endpoint.script = [(status, "no\n  such model", {})]
    with pytest.raises(EndpointError, match=rf"answered {status}: no such model \(try 1\): "):
        embedder.embed(["a"])
    assert len(endpoint.bodies) == 1


def test_retry_after_is_waited_for(endpoint):
    endpoint.script = [(429, "slow down", {"Retry-After": "0.3"})]
    with OpenAI("m", endpoint.url, transport=QUICK) as embedder:
        started = time.monotonic()
        embedder.embed(["a"])
    assert time.monotonic() - started >= 0.3


def test_a_wait_beyond_a_minute_is_reported_instead(embedder, endpoint):
    endpoint.script = [(429, "come back tomorrow", {"Retry-After": "86400"})]
    with pytest.raises(EndpointError, match=r"come back tomorrow \(try 1\)"):
        embedder.embed(["a"])


def test_a_date_to_retry_after_falls_back_to_the_own_wait(embedder, endpoint):
    endpoint.script = [(503, "", {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"})]
    assert embedder.embed(["a"]).any()


def test_silence_counts_as_a_failure_and_is_tried_again(endpoint):
    endpoint.script = ["silence"]
    patient = Transport(timeout_s=0.3, max_retries=1, backoff_s=0)
    with OpenAI("m", endpoint.url, transport=patient) as embedder:
        assert embedder.embed(["a"]).any()
        endpoint.script = ["silence", "silence"]
        with pytest.raises(EndpointError, match=r"did not answer within 0.3 s \(try 2\)"):
            embedder.embed(["a"])


def test_an_endpoint_that_is_not_there_is_named():
    pytest.importorskip("httpx", reason="endpoints need httpx")
    with (
        OpenAI("m", "http://127.0.0.1:9", transport=Transport(max_retries=0)) as embedder,
        pytest.raises(EndpointError, match=r"127\.0\.0\.1:9/embeddings cannot be reached.*server"),
    ):
        embedder.embed(["a"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<html>hello</html>", "something else than JSON: '<html>"),
        ({"error": "no"}, "JSON without embeddings"),
        (["no"], "JSON without embeddings"),
        ({"data": [{"index": 0, "embedding": [1, "x"]}]}, "JSON without embeddings"),
        ({"data": []}, "was sent 1 texts and answered 0 embeddings"),
        ({"data": [{"index": 1, "embedding": [1, 2]}]}, "was sent 1 texts"),
        ({"data": [{"index": 0, "embedding": [1, float("nan")]}]}, "was sent 1 texts"),
    ],
)
def test_an_answer_that_holds_no_vectors_is_refused(embedder, endpoint, answer, reason):
    endpoint.script = [(200, answer, {})]
    with pytest.raises(EndpointError, match=reason):
        embedder.embed(["a"])


def test_vectors_that_change_their_length_are_refused(embedder, endpoint):
    embedder.embed(["a"])
    endpoint.script = [lambda body: good(body, dimensions=5)]
    with pytest.raises(EndpointError, match="sent 5-dimensional vectors of 'm', expected 4"):
        embedder.embed(["a"])


def test_neither_proxy_nor_key_is_taken_from_the_environment(endpoint, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    with OpenAI("m", endpoint.url, transport=QUICK) as embedder:
        assert embedder.embed(["a"]).any()
    assert "Authorization" not in endpoint.headers[0]


def test_a_missing_httpx_names_its_install_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[http\]'"):
        OpenAI("m", "http://127.0.0.1:9").embed(["a"])


@pytest.mark.parametrize("key", ["", "säcret", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key):
    pytest.importorskip("httpx", reason="endpoints need httpx")
    with (
        OpenAI("m", "http://127.0.0.1:9", api_key=key) as embedder,
        pytest.raises(ParameterError, match=r"api_key must be printable ASCII and not empty$"),
    ):
        embedder.embed(["a"])


@pytest.mark.parametrize(
    "url",
    ["http://user:sk-secret@h/v1", "https://h/v1?key=sk-secret", "https://h/v1#sk-secret"],
)
def test_an_address_that_may_hold_a_key_is_refused_unseen(url):
    with pytest.raises(ParameterError, match="must hold no user name, query or fragment") as error:
        OpenAI("m", url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://h", "https://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ParameterError, match=r"OpenAI\.base_url must be an http\(s\) address"):
        OpenAI("m", url)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"model": ""}, "model must name a model"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"asked_dimensions": 0}, "asked_dimensions must be >= 1, got 0"),
    ],
)
def test_options_outside_their_range_are_refused(options, rule):
    with pytest.raises(ParameterError, match=rf"OpenAI\.{rule}"):
        OpenAI(**({"model": "m", "base_url": "http://h"} | options))


@pytest.mark.parametrize(
    "options",
    [{"timeout_s": 0}, {"max_retries": -1}, {"backoff_s": -1}, {"timeout_s": float("nan")}],
)
def test_transport_options_outside_their_range_are_refused(options):
    with pytest.raises(ParameterError, match=rf"Transport\.{next(iter(options))} must be"):
        Transport(**options)
