"""The steps of tools/distill_static.py on small numbers; the whole run needs the teacher."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from memsieve.embed import Static

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "distill_static.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("distill_static", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(50, 8)) * np.geomspace(3, 0.1, 8) + 1


def test_frequencies_follow_zipf_and_add_up_to_one(tool):
    frequency = tool.frequencies(3)
    assert frequency == pytest.approx(np.array([6, 4, 3]) / 13)


def test_centring_leaves_running_text_without_a_direction(tool, rows):
    frequency = tool.frequencies(len(rows))
    moved = tool.centred(rows, frequency)
    assert frequency @ moved == pytest.approx(np.zeros(8), abs=1e-12)
    assert (moved**2).sum(axis=1).mean() == pytest.approx(1)


def test_principal_axes_keep_angles_and_put_the_widest_first(tool, rows):
    turned = tool.principal(rows, 8)
    assert turned @ turned.T == pytest.approx(rows @ rows.T)
    assert (np.diff((turned**2).sum(axis=0)) <= 0).all()


def test_the_same_input_gives_the_same_signs(tool, rows):
    turned = tool.principal(rows, 4)
    largest = turned[np.abs(turned).argmax(axis=0), np.arange(4)]
    assert (largest > 0).all()


def test_frequent_tokens_get_short_vectors(tool, rows):
    options = {"dimensions": 4, "input_share": 0.5}
    even = tool.token_vectors(rows, rows, sif=1e6, **options)
    weighed = tool.token_vectors(rows, rows, sif=1e-2, **options)
    ratio = np.linalg.norm(weighed, axis=1) / np.linalg.norm(even, axis=1)
    assert (np.diff(ratio) > 0).all()
    assert ratio == pytest.approx(1e-2 / (1e-2 + tool.frequencies(50)), rel=1e-4)


@pytest.mark.parametrize("token", ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[unused993]"])
def test_control_tokens_get_no_row(tool, token):
    assert tool.CONTROL_TOKEN.fullmatch(token)


@pytest.mark.parametrize("token", ["[UNK]", "[", "mask", "##ing"])
def test_tokens_that_text_can_hold_get_one(tool, token):
    assert not tool.CONTROL_TOKEN.fullmatch(token)


def test_what_is_written_is_a_model_the_runtime_opens(tool, tmp_path):
    vectors = np.array([[1, 1], [0.6, 0.8], [0, 2]], dtype=np.float32)
    tool.write(tmp_path / "m", ["[UNK]", "a", "b"], vectors, {"name": "tiny"})
    embedder = Static(tmp_path / "m")
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert embedder.identity == f"tiny@{card['sha256'][:12]}"
    assert embedder.embed(["a", "b"]) == pytest.approx(np.array([[0.6, 0.8], [0, 1]]), abs=2e-3)
    assert card["int8_worst_token_cosine"] > 0.9999
