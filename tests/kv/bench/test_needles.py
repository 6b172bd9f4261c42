"""Needles: the card's late one separates what forgets from what recalls, the early one does not."""

from dataclasses import replace

import pytest

from memsieve.errors import ParameterError
from memsieve.kv import bench

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("torch")]

# The characterisation card, 512 tokens, budget 64, needle at 200 unattended until step 24, 200
# seeds: StreamingLLM, H2O, Keyformer 0, SnapKV .07, TOVA .145, retrieval by pages 1.0.
LATE = {
    "streaming-llm": (0.0, 0.0),
    "h2o": (0.0, 0.0),
    "keyformer": (0.0, 0.0),
    "snapkv": (0.02, 0.15),
    "tova": (0.02, 0.2),
    "windowkv": (0.02, 0.2),
    "quest": (1.0, 1.0),
    "icecache": (0.95, 1.0),
    "full": (1.0, 1.0),
}


@pytest.mark.parametrize("name", LATE)
def test_only_what_recalls_has_a_needle_that_nobody_had_looked_at(name):
    least, most = LATE[name]
    assert least <= bench.found(bench.setting(name, 64, n_full_layers=0)) <= most


@pytest.mark.parametrize("name", ["h2o", "keyformer", "snapkv", "quest", "icecache", "full"])
def test_a_needle_that_was_looked_at_from_the_start_is_kept(name):
    setting = bench.setting(name, 64, n_full_layers=0)
    assert bench.found(setting, bench.Needle(early=True)) == 1.0


def test_a_window_loses_it_all_the_same():
    assert bench.found(bench.setting("streaming-llm", 64), bench.Needle(early=True)) == 0.0


@pytest.mark.parametrize("name", ["h2o", "streaming-llm", "tova", "snapkv"])
def test_a_budget_for_everything_finds_every_needle(name):
    needle = bench.Needle(n_prompt=64, place=20, step=4, n_seeds=20)
    assert bench.found(bench.setting(name, 68), needle) == 1.0


@pytest.mark.parametrize("name", ["infinigen", "zoomr", "packforcing"])
def test_a_policy_that_needs_a_model_or_pools_has_no_figure(name):
    assert bench.found(bench.setting(name, 64)) is None


def test_needles_are_those_of_the_seed():
    setting = bench.setting("tova", 64)
    few = bench.Needle(n_seeds=60)
    assert bench.found(setting, few) == bench.found(setting, few)
    assert {bench.found(setting, replace(few, seed=seed)) for seed in range(4)} != {0.0}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"place": 512}, r"Needle\.place must be in \[0, 512\)"),
        ({"n_seeds": 0}, r"Needle\.n_seeds must be >= 1"),
        ({"head_dim": 4}, r"Needle\.head_dim must be >= 8"),
    ],
)
def test_rejects_a_needle_that_cannot_be(options, rule):
    with pytest.raises(ParameterError, match=rule):
        bench.Needle(**options)
