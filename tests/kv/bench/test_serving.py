"""The serving model: the figures of the characterisation card, and what must hold in any."""

from dataclasses import replace

import pytest

from memsieve.errors import ParameterError
from memsieve.kv.bench.serving import Load, serve
from memsieve.kv.bench.strategies import Evict, Machine, Offload, Paged, Reserve, Shape

# The toy serving model of the card: 8B parameters, 2,000 + 200 tokens, 40 GB for keys and values,
# 3.35 TB/s and 55 GB/s, a fifth kept. Medians. The card does not state FLOPS, the number of
# requests, the seed and the most that run together; with 400 TFLOPS, 400, NumPy's seed 0 and 256
# all of its figures come out within 2 %.
CARD = {
    (4, Paged()): (703, 7.4, None),
    (4, Evict()): (704, 6.9, None),
    (4, Offload()): (651, 94, None),
    (16, Reserve()): (1794, 39, 6.6),
    (16, Paged()): (1916, 67, 5.5),
    (16, Evict()): (2249, 89, 2.3),
    (16, Offload()): (693, 341, None),
}
ALL = [Reserve(), Paged(), Paged(admit="prompt"), Evict(), Offload()]


@pytest.fixture(scope="module")
def served():
    return {(rate, strategy): serve(strategy, Load(rate)) for rate, strategy in CARD}


@pytest.mark.parametrize("case", CARD, ids=lambda case: f"{case[1].name} at {case[0]}/s")
def test_the_figures_of_the_card_come_out(served, case):
    tokens_per_s, token_ms, first_s = CARD[case]
    found = served[case]
    assert found.tokens_per_s == pytest.approx(tokens_per_s, rel=0.005)
    assert 1e3 * found.token_s[0] == pytest.approx(token_ms, rel=0.02)
    if first_s is not None:
        assert found.first_s[0] == pytest.approx(first_s, rel=0.02)


def test_the_ranking_changes_with_the_load(served):
    at = {(rate, strategy.name): found.tokens_per_s for (rate, strategy), found in served.items()}
    assert at[4, "paged"] == pytest.approx(at[4, "evict"], rel=0.01)
    assert at[16, "evict"] > 1.15 * at[16, "paged"] > 1.15 * at[16, "reserve"]
    assert at[16, "offload"] < 0.5 * at[16, "paged"]


@pytest.mark.parametrize("strategy", ALL, ids=repr)
def test_below_saturation_tokens_per_second_are_rate_times_output(strategy):
    load = Load(0.5, n_requests=200, output_tokens=50)
    busy_s = load.arrivals()[-1]
    found = serve(strategy, load)
    assert found.tokens_per_s == pytest.approx(200 * 50 / busy_s, rel=0.02)
    assert found.n_preempted == 0


def test_eviction_admits_about_as_many_times_more_as_it_keeps_less():
    paged, evict = (s.capacity(2200, Shape(), Machine()) for s in (Paged(), Evict(0.2)))
    assert (paged, evict) == (138, 693)


def test_footprints_are_the_formulas():
    shape = Shape()
    assert shape.token_bytes == 131_072
    assert Reserve(1000).device_bytes(2000, shape) == 3000 * 131_072
    assert [Paged().device_bytes(n, shape) / 131_072 for n in (1, 16, 17)] == [16, 16, 32]
    assert Evict(0.25).device_bytes(400, shape) == 100 * 131_072
    offload = Offload(0.25)
    assert offload.host_bytes(400, shape) == 400 * 131_072
    assert offload.device_bytes(400, shape) == 100 * 131_072 * 2 / 32
    assert [s.host_bytes(400, shape) for s in (Reserve(), Paged(), Evict())] == [0, 0, 0]


def test_offloading_moves_the_kept_share_of_every_token_at_every_step():
    found = serve(Offload(0.25), Load(1, n_requests=1, prompt_tokens=100, output_tokens=4))
    # The first token comes with the prompt; steps two to four see 101, 102, 103 tokens.
    assert found.moved_bytes == 0.25 * (101 + 102 + 103) * 131_072


def test_one_request_alone_by_hand():
    shape = Shape(n_params=1e9, n_layers=10, n_kv_heads=10, head_dim=10, itemsize=1)
    machine = Machine(kv_bytes=1e9, hbm_bytes_s=1e12, link_bytes_s=1e9, flops=1e12)
    load = Load(1, n_requests=1, prompt_tokens=100, output_tokens=2)
    paged = serve(Paged(), load, shape=shape, machine=machine)
    assert paged.first_s[0] == pytest.approx(2 * 1e9 * 100 / 1e12)
    assert paged.token_s[0] == pytest.approx((1e9 + 101 * 2_000) / 1e12)
    assert paged.peak_device_bytes == 112 * 2_000
    offload = serve(Offload(0.5), load, shape=shape, machine=machine)
    assert offload.token_s[0] == pytest.approx((1e9 + 101_000) / 1e12 + 101_000 / 1e9)
    assert offload.peak_host_bytes == 101 * 2_000


def test_a_shared_prefix_is_filled_once():
    load = Load(4, n_requests=100, prompt_tokens=2000, output_tokens=20)
    alone, shared = serve(Paged(), load), serve(Paged(), replace(load, shared_tokens=1600))
    assert shared.first_s[0] < 0.4 * alone.first_s[0]
    assert shared.peak_device_bytes < 0.7 * alone.peak_device_bytes
    evict = [serve(Evict(), replace(load, shared_tokens=n)).first_s[0] for n in (0, 1600)]
    assert evict[0] == evict[1]


def test_admitting_by_the_prompt_pre_empts_and_still_answers_everyone():
    load = Load(16, n_requests=60, prompt_tokens=200, output_tokens=400)
    machine = Machine(kv_bytes=0.8e9)
    greedy = serve(Paged(admit="prompt"), load, machine=machine)
    careful = serve(Paged(), load, machine=machine)
    assert greedy.n_preempted > 10
    assert careful.n_preempted == 0
    assert max(greedy.peak_device_bytes, careful.peak_device_bytes) <= 0.8e9


@pytest.mark.parametrize("strategy", ALL, ids=repr)
def test_the_device_is_never_overfull_and_the_same_seed_gives_the_same(strategy):
    load, machine = Load(16, n_requests=80, seed=3), Machine(kv_bytes=6e9)
    found = serve(strategy, load, machine=machine)
    assert found.peak_device_bytes <= 6e9
    assert found == serve(strategy, load, machine=machine)
    assert found != serve(strategy, replace(load, seed=4), machine=machine)


@pytest.mark.parametrize("strategy", [Reserve(), Paged(), Evict()], ids=repr)
def test_refuses_a_device_on_which_not_one_request_fits(strategy):
    with pytest.raises(ParameterError, match=r"one request takes .* bytes, the device has 1,000"):
        serve(strategy, Load(1, n_requests=2), machine=Machine(kv_bytes=1e3))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Load(0), "rate_per_s must be > 0"),
        (lambda: Load(1, output_tokens=0), "must be >= 1"),
        (lambda: Load(1, shared_tokens=2001), r"shared_tokens must be in \[0, 2000\]"),
        (lambda: Evict(0), r"Evict\.kept must be in \(0, 1\]"),
        (lambda: Offload(1.5), r"Offload\.kept must be in \(0, 1\]"),
        (lambda: Paged(admit="never"), r"Paged\.admit must be 'final' or 'prompt'"),
    ],
)
def test_rejects_what_lies_outside_its_range(make, rule):
    with pytest.raises(ParameterError, match=rule):
        make()
