"""Specs, identities, and the refusal of vectors that were made by something else."""

import subprocess
import sys

import numpy as np
import pytest

from memsieve.embed import (
    Embedder,
    NoEmbedder,
    OpenAI,
    SentenceTransformers,
    Static,
    from_spec,
    require_identity,
)
from memsieve.errors import EmbedderMismatchError, ParameterError

ENDPOINT = "openai:text-embedding-3-small@https://api.example.org/v1"
CHANGED = "static-minilm-256@" + "0" * 12


@pytest.mark.parametrize("spec", ["static", "none", ENDPOINT, ENDPOINT + "#256"])
def test_an_embedder_comes_back_from_its_identity(spec):
    first = from_spec(spec)
    again = from_spec(first.identity)
    assert (type(again), again.identity) == (type(first), first.identity)
    require_identity(first.identity, again)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("static", Static),
        ("none", NoEmbedder),
        (ENDPOINT, OpenAI),
        ("sentence-transformers:sentence-transformers/all-MiniLM-L6-v2", SentenceTransformers),
    ],
)
def test_every_spec_makes_an_embedder_without_loading_or_sending_anything(spec, kind):
    assert isinstance(from_spec(spec), kind)


@pytest.mark.parametrize("embedder", [Static(), NoEmbedder()])
def test_embedders_keep_the_protocol(embedder):
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(["a", ""])
    assert (vectors.shape, vectors.dtype) == ((2, embedder.dimensions), np.float32)


def test_model_names_may_hold_colons_and_at_signs():
    embedder = from_spec("openai:@cf/baai/bge-m3:latest@http://127.0.0.1:8080/v1")
    assert (embedder.model, embedder.base_url) == (
        "@cf/baai/bge-m3:latest",
        "http://127.0.0.1:8080/v1",
    )


def test_the_number_after_the_address_asks_for_dimensions():
    assert from_spec(ENDPOINT + "#256").dimensions == 256


def test_an_identity_of_other_weights_is_refused_with_the_way_out():
    with pytest.raises(EmbedderMismatchError) as refused:
        from_spec(CHANGED)
    for part in (CHANGED, Static().identity, "use the first again", "'memsieve reindex'"):
        assert part in str(refused.value)


def test_an_embedder_that_did_not_make_the_vectors_is_refused():
    with pytest.raises(EmbedderMismatchError, match="made by the embedder 'none', this one is"):
        require_identity("none", Static())


@pytest.mark.parametrize("spec", ["", "Static", "minilm", "http://example.org", "static256"])
def test_a_spec_that_names_no_embedder_is_refused(spec):
    with pytest.raises(ParameterError, match=r"an embedder spec must be static, .* got '"):
        from_spec(spec)


@pytest.mark.parametrize("spec", ["static:large", "none:at all"])
def test_specs_that_take_nothing_refuse_something(spec):
    with pytest.raises(ParameterError, match="takes nothing after it"):
        from_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "openai:model",
        "openai:@https://api.example.org",
        "openai:model@ftp://api.example.org",
        "openai:model@https://api.example.org#many",
        "openai:model@https://api.example.org#0",
    ],
)
def test_an_endpoint_without_model_or_address_is_refused(spec):
    with pytest.raises(ParameterError, match=r"openai:MODEL@http\(s\)://"):
        from_spec(spec)


def test_importing_the_room_brings_no_heavy_library():
    code = (
        "import sys, memsieve.embed;"
        "print({'torch', 'httpx', 'sentence_transformers', 'tokenizers'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
