"""What is measured of a policy: bytes by the formula, mass, divergence, and what must be exact."""

import json
import math
from dataclasses import replace

import pytest

from memsieve.errors import NotFoundError, ParameterError
from memsieve.kv import bench
from memsieve.kv.bench import measuring, watching

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("torch")]

SMALL = bench.Sizes(n_layers=3, n_heads=4, n_kv_heads=2, head_dim=16, hidden=32, vocabulary=97)
TOKEN_BYTES = 2 * 2 * 16 * 4  # keys and values, two heads, float32: of one layer
ROOM = 1 + 8  # a first decoded token, and room for eight
PLAN = bench.Plan(
    policies=bench.names(), budgets=(32,), lengths=(96,), n_steps=6, n_full_layers=1, needles=False
)


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return bench.open_model("llama", SMALL, n_positions=256)


@pytest.fixture(scope="module")
def measured(model):
    return {one.policy: one for one in bench.measure(model, PLAN)}


def test_every_name_is_measured(measured):
    assert list(measured) == list(bench.names())
    assert [one.refused for one in measured.values()] == [None] * len(measured)
    assert all(one.first_s > 0 and one.token_s > 0 for one in measured.values())


def test_the_full_cache_and_the_frame_without_a_policy_lose_nothing(measured):
    for name in ("full", "frame"):
        one = measured[name]
        assert (one.recall, one.kl, one.top1) == (pytest.approx(1.0), 0.0, 1.0)
        n_held = 96 + (6 if name == "full" else ROOM)
        assert one.bytes_device == 3 * n_held * TOKEN_BYTES
        assert one.peak_prefill_bytes == 3 * 96 * TOKEN_BYTES
        assert one.attended_tokens == 99.5  # 97 at the first step, 102 at the last


@pytest.mark.parametrize("name", ["h2o", "keyformer", "streaming-llm", "tova"])
def test_a_policy_that_evicts_at_every_step_holds_its_budget_to_the_byte(measured, name):
    assert measured[name].bytes_device == 3 * 32 * TOKEN_BYTES
    assert measured[name].attended_tokens == 33
    # Layers fill one after another: two are cut already when the last has seen the prompt.
    assert measured[name].peak_prefill_bytes == (96 + 2 * 32) * TOKEN_BYTES


@pytest.mark.parametrize("name", ["snapkv", "windowkv"])
def test_a_policy_that_cuts_the_prompt_alone_grows_with_the_output(measured, name):
    assert measured[name].bytes_device == 3 * (32 + ROOM) * TOKEN_BYTES


def test_what_is_archived_and_what_stays_make_up_everything(measured):
    for name in ("icecache", "infinigen", "packforcing", "zoomr"):
        one = measured[name]
        n_held = 3 * (96 + 6)
        if name in ("icecache", "infinigen"):  # whose first layer keeps everything
            n_held += ROOM - 6
        assert one.bytes_device + one.bytes_host == n_held * TOKEN_BYTES
        assert one.bytes_device < one.bytes_host + 2 * 102 * TOKEN_BYTES
        assert (one.fetched_bytes > 0) == (name != "packforcing")  # its packs stay
    assert measured["quest"].bytes_device == measured["frame"].bytes_device


def test_retrieving_recalls_more_than_its_share_and_more_than_the_newest_tokens(measured):
    newest = measured["streaming-llm"]
    for name in ("quest", "icecache", "infinigen"):
        assert measured[name].recall > newest.recall + 0.1
        assert measured[name].kl < newest.kl


@pytest.mark.parametrize("name", ["packforcing", "zoomr"])
def test_a_budget_is_about_what_is_looked_at(measured, name):
    assert 16 <= measured[name].attended_tokens <= 40


@pytest.mark.parametrize("name", [name for name in bench.names() if name != "full"])
def test_a_budget_for_everything_is_the_full_cache(model, name):
    plan = replace(PLAN, policies=(name,), budgets=(4096,), lengths=(40,))
    (_, one) = bench.measure(model, plan)
    if name == "packforcing":
        assert (one.recall, one.kl) == (None, 0.0)
        return
    if name == "infinigen":  # its threshold leaves out what it guesses to weigh nothing
        assert one.recall > 0.95
        return
    assert one.recall == pytest.approx(1.0)
    assert one.kl < 1e-9
    assert one.top1 == 1.0


def test_a_prompt_in_pieces_never_takes_more_than_budget_and_piece(model):
    plan = replace(PLAN, policies=("streaming-llm",), n_chunk=16)
    full, one = bench.measure(model, plan)
    assert one.peak_prefill_bytes == 3 * 32 * TOKEN_BYTES + 16 * TOKEN_BYTES
    assert full.peak_prefill_bytes == 3 * 96 * TOKEN_BYTES


def test_the_same_seed_gives_the_same_figures(model, measured):
    def told(one):
        return {**one.to_json(), "first_s": None, "token_s": None, "full_token_s": None}

    plan = replace(PLAN, policies=("h2o", "quest"), n_repeats=2)
    again = {one.policy: one for one in bench.measure(model, plan)}
    assert all(told(again[name]) == told(measured[name]) for name in again)
    (_, other) = bench.measure(model, replace(PLAN, policies=("h2o",), seed=1))
    assert other.kl != measured["h2o"].kl


def test_a_budget_that_a_policy_cannot_hold_is_told_and_the_others_go_on(model):
    plan = replace(PLAN, policies=("streaming-llm", "h2o"), budgets=(2,))
    _, refused, h2o = bench.measure(model, plan)
    assert "budget_tokens must be >= n_sink + n_window" in refused.refused
    assert (refused.kl, refused.bytes_device) == (None, None)
    assert h2o.bytes_device == 3 * 2 * TOKEN_BYTES


def test_an_interval_is_for_policies_that_evict_while_decoding(model):
    policies = ("h2o", "snapkv", "quest")
    plan = replace(PLAN, policies=policies, interval=4)
    _, *found = bench.measure(model, plan)
    by_name = {one.policy: one for one in found}
    # 96 are cut to 32; of six decoded tokens the fourth brings the next cut, and two follow.
    assert by_name["h2o"].bytes_device == 3 * (32 + 4) * TOKEN_BYTES
    assert by_name["h2o"].attended_tokens == pytest.approx((33 + 34 + 35 + 36 + 33 + 34) / 6)
    assert by_name["snapkv"].refused is None
    with pytest.raises(ParameterError, match=r"Plan\.interval must be"):
        replace(PLAN, interval=0)


def test_the_full_cache_is_timed_beside_every_policy(model):
    full, one = bench.measure(model, replace(PLAN, policies=("h2o",)))
    assert full.full_token_s == full.token_s
    assert one.full_token_s > 0
    assert one.full_token_s != full.token_s


def test_needles_tell_forgetting_from_recalling(model):
    plan = replace(PLAN, policies=("h2o", "quest", "infinigen", "packforcing"), needles=True)
    found = {one.policy: (one.needle_late, one.needle_early) for one in bench.measure(model, plan)}
    assert found["full"] == found["quest"] == (1.0, 1.0)
    assert found["h2o"][0] < 0.3 < 0.9 < found["h2o"][1]
    assert found["infinigen"] == (None, None)  # it guesses with a model's weights
    assert found["packforcing"] == (None, None)  # its entries stand for several tokens


def test_divergence_and_agreement_by_hand():
    import torch

    even, one_sided = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    kl, top1 = measuring.compared(one_sided, even)
    # KL((1/2, 1/2) || (3/4, 1/4)) = 1/2 ln(2/3) + 1/2 ln 2
    assert kl == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))
    assert top1 == 1.0
    assert measuring.compared(-one_sided, one_sided)[1] == 0.0


def test_mass_by_hand():
    import torch

    rows = torch.tensor([[[0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]]])
    shared = torch.tensor([[[-1, 0, 3]]])  # one head for both queries, one empty place
    assert watching.mass(rows, shared) == pytest.approx((0.625 + 0.5) / 2)
    own = torch.tensor([[[0, 1], [2, 3]]])
    assert watching.mass(rows, own) == pytest.approx((0.75 + 0.7) / 2)


def test_a_model_from_a_folder_is_the_one_that_was_saved(model, tmp_path):
    model.save_pretrained(tmp_path / "mine")
    opened = bench.open_model(str(tmp_path / "mine"))
    plan = replace(PLAN, policies=("h2o",))
    ours, theirs = (bench.measure(one, plan)[1] for one in (model, opened))
    assert (ours.kl, ours.recall) == (theirs.kl, theirs.recall)


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma2", "mistral"])
def test_other_families_are_measured_too(family):
    made = bench.open_model(family, replace(SMALL, head_dim=8), n_positions=256)
    full, one = bench.measure(made, replace(PLAN, policies=("tova",), lengths=(48,)))
    assert one.bytes_device <= full.bytes_device
    assert 0 < one.recall < 1


def test_a_shape_is_that_of_the_model(model):
    shape = bench.shape_of(model)
    assert shape.token_bytes == 3 * TOKEN_BYTES
    assert shape.weights_bytes == 4 * sum(p.numel() for p in model.parameters())


def test_a_report_says_how_to_do_it_again_and_can_be_written(model):
    plan = replace(PLAN, policies=("h2o",))
    found = bench.report(model, plan, name="small", rates=(0.5,))
    told = json.loads(json.dumps(found.to_json()))
    assert told["setup"]["seed"] == 0
    assert told["setup"]["n_kv_heads"] == 2
    assert {one["strategy"] for one in told["served"]} == {"reserve", "paged", "evict", "offload"}
    assert [one["policy"] for one in told["figures"]] == ["full", "h2o"]


@pytest.mark.parametrize(
    ("make", "error", "rule"),
    [
        (lambda: bench.open_model("nonsense"), ParameterError, "no decoder called 'nonsense'"),
        (lambda: bench.open_model("./nowhere"), NotFoundError, "no folder of a model at ./nowhere"),
        (lambda: bench.open_model("llama", dtype="int8"), ParameterError, "dtype must be one of"),
        (lambda: bench.open_model("llama", device="nowhere"), ParameterError, "device 'nowhere'"),
        (lambda: bench.Sizes(n_heads=3), ParameterError, "must be a multiple of n_kv_heads"),
        (lambda: bench.Plan(budgets=()), ParameterError, "Plan.budgets must not be empty"),
        (lambda: bench.Plan(n_steps=0), ParameterError, "Plan.n_steps must be >= 1"),
        (lambda: bench.Plan(policies=("none",)), ParameterError, "policy must be one of full"),
        (lambda: bench.report(None, PLAN, rates=(0,)), ParameterError, "a rate must be > 0"),
    ],
)
def test_wrong_use_is_one_clear_error(make, error, rule):
    with pytest.raises(error, match=rule):
        make()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"it has no config\.json"):
        bench.open_model(str(tmp_path))
