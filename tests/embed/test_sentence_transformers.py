"""The sentence-transformers adapter with a real, tiny model that is built on the spot."""

import sys

import numpy as np
import pytest

from memsieve.embed import SentenceTransformers, from_spec
from memsieve.errors import EmbedderMismatchError, MissingExtraError, ParameterError

pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own, which change by release

TOKENS = ["[UNK]", "north", "east", "south"]


def build(folder, seed=0):
    """A four-dimensional static model of that library, saved in `folder`."""
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is absent")
    tokenizers = pytest.importorskip("tokenizers")
    from sentence_transformers.models import StaticEmbedding

    words = tokenizers.models.WordLevel({t: i for i, t in enumerate(TOKENS)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    weights = np.random.default_rng(seed).normal(size=(len(TOKENS), 4)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    library.SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    return weights


@pytest.mark.torch
def test_vectors_are_the_models_own_with_length_one(tmp_path):
    weights = build(tmp_path / "model")
    embedder = SentenceTransformers(str(tmp_path / "model"), "cpu")
    vectors = embedder.embed(["north east", "", "south"])
    mean = (weights[1] + weights[2]) / 2
    assert (embedder.dimensions, vectors.dtype) == (4, np.float32)
    assert vectors[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert vectors[2] == pytest.approx(weights[3] / np.linalg.norm(weights[3]), abs=1e-6)
    assert not vectors[1].any()
    assert embedder.embed([]).shape == (0, 4)


@pytest.mark.torch
def test_a_model_comes_back_from_its_identity(tmp_path):
    build(tmp_path / "model")
    embedder = from_spec(f"sentence-transformers:{tmp_path / 'model'}")
    assert from_spec(embedder.identity).identity == embedder.identity


@pytest.mark.torch
def test_a_model_with_other_weights_under_the_same_name_is_refused(tmp_path):
    build(tmp_path / "one")
    build(tmp_path / "two", seed=1)
    digits = SentenceTransformers(str(tmp_path / "one")).identity.rpartition("@")[2]
    with pytest.raises(EmbedderMismatchError, match="use the first again"):
        from_spec(f"sentence-transformers:{tmp_path / 'two'}@{digits}")


def test_a_missing_library_names_its_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[sentence-transformers\]'"):
        SentenceTransformers("some/model").embed(["a"])


def test_options_outside_their_range_are_refused():
    with pytest.raises(ParameterError, match="model must name a model"):
        from_spec("sentence-transformers:")
    with pytest.raises(ParameterError, match="batch_size must be >= 1, got 0"):
        SentenceTransformers("m", batch_size=0)
