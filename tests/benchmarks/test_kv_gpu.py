"""Decoding on a GPU, tried on a CPU: caches that are full at once are those that were read."""

import json
import signal
import time
from dataclasses import replace

import pytest

QUICK = (
    *("--device", "cpu", "--small", "--length", "64", "--budget", "50%", "--steps", "2"),
    *("--kernel", "sdpa", "--kernel", "packed", "--batch", "fit", "--batch", "max"),
    *("--interval", "1"),
)


@pytest.fixture
def torch():
    """PyTorch, or no test."""
    module = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    return module


@pytest.fixture
def script(bench):
    return bench("kv_gpu")


@pytest.fixture
def record(bench):
    """The module of rows and tables."""
    return bench("kv_record")


@pytest.fixture
def kvd(bench):
    return bench("kv_decoding")


@pytest.fixture
def model(torch, script):
    return script.SMALL.build(256, torch.device("cpu"))


@pytest.fixture
def row(record):
    """A full cache of eight rows at 40 ms a step."""
    return record.Row(
        policy="full",
        cache="in place",
        kernel="flash",
        budget_tokens=None,
        n_prompt=1000,
        batch="fit",
        n_rows=8,
        fill_s=1.0,
        step_s=0.040,
        step_p10_s=0.039,
        step_p90_s=0.042,
        tokens_per_s=200.0,
        busy_s=0.038,
        bytes_device=10_000_000,
        bytes_formula=10_000_000,
        bytes_state=0,
        bytes_host=0,
        peak_bytes=None,
    )


@pytest.mark.torch
def test_a_token_of_8b_takes_128_kb(torch, kvd):
    assert kvd.Decoder().token_bytes == 32 * 2 * 8 * 128 * 2 == 131_072


def test_gains_are_over_the_fastest_full_cache_of_the_same_length_and_batch(record, row):
    found = record.Record({})
    slower = replace(row, step_s=0.080, tokens_per_s=100.0)
    many = replace(row, batch="max", n_rows=16, step_s=0.064, tokens_per_s=250.0)
    found.rows = [slower, row, many]
    ours = replace(row, policy="h2o", budget_tokens=500, step_s=0.020, tokens_per_s=400.0)
    assert record.ratios(ours, found.full(1000, "fit")) == {"x_latency": 2.0, "x_throughput": 2.0}
    more = replace(ours, batch="max", n_rows=32, tokens_per_s=600.0)
    assert record.ratios(more, found.full(1000, "max")) == {"x_latency": None, "x_throughput": 2.4}
    assert record.ratios(ours, found.full(2000, "fit"))["x_latency"] is None


@pytest.mark.parametrize(("text", "tokens"), [("50%", 512), ("12.5%", 128), ("2048", 2048)])
def test_a_budget_is_a_share_or_a_number_of_tokens(script, text, tokens):
    assert script._share(text)(1024) == tokens


@pytest.mark.parametrize("option", [("--budget", "half"), ("--budget", "0"), ("--batch", "-1")])
def test_what_is_no_number_is_refused_with_the_option_named(script, capsys, option):
    with pytest.raises(SystemExit):
        script.main(option)
    assert option[0] in capsys.readouterr().err


def test_time_that_is_over_ends_what_runs(script):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(script.TooLongError), script.within(0.02):
        time.sleep(5)
    assert signal.getsignal(signal.SIGALRM) == before
    with pytest.raises(script.TooLongError), script.within(0):
        pytest.fail("there was no time")


@pytest.mark.torch
def test_every_contender_has_a_row_for_every_batch(torch, script, tmp_path, capsys):
    path = tmp_path / "figures.json"
    assert script.main([*QUICK, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["notes"] == []
    rows = found["rows"]
    names = ["frame", *script.POLICIES]
    assert [(r["policy"], r["batch"], r["n_rows"]) for r in rows if r["policy"] != "full"] == [
        (name, *batch) for name in names for batch in (("fit", 2), ("max", 4))
    ]
    caches = {(r["cache"], r["kernel"]) for r in rows if r["policy"] == "full"}
    assert caches >= {("in place", "sdpa"), ("in place", "packed"), ("dynamic", "sdpa")}
    assert max(r["x_throughput"] for r in rows if r["policy"] == "full") == 1.0
    for r in rows:
        assert 0 < r["step_p10_s"] <= r["step_s"] <= r["step_p90_s"]
        if r["policy"] not in ("icecache", "infinigen", "windowkv"):
            # What is held beside: room for the next tokens, and with SnapKV all that was decoded.
            beside = r["bytes_device"] - r["bytes_formula"]
            exact = r["policy"] in ("streaming-llm", "h2o", "tova", "keyformer")
            assert beside == 0 if exact else 0 <= beside < r["bytes_formula"]
    h2o = next(r for r in rows if r["policy"] == "h2o" and r["batch"] == "max")
    assert h2o["bytes_device"] == 3 * 2 * 4 * 2 * 32 * 16 * 4
    printed = capsys.readouterr().out
    assert "x lower latency" in printed
    assert printed.count("\nstreaming-llm") == 2


@pytest.mark.torch
def test_without_time_everything_is_left_out_and_named(torch, script, tmp_path):
    path = tmp_path / "figures.json"
    asked = (*QUICK, "--policy", "h2o", "--minutes", "0", "--json", str(path))
    assert script.main(asked) == 0
    found = json.loads(path.read_text())
    assert found["rows"] == []
    assert found["notes"] == [f"64 {t}: left out, out of time" for t in ("full", "frame", "h2o 32")]


@pytest.mark.torch
def test_a_device_that_is_not_there_is_an_error_of_one_line(torch, script, capsys):
    assert script.main(["--small", "--device", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("kv_gpu: device 'nowhere' cannot be used here")


@pytest.mark.torch
@pytest.mark.parametrize("layout", ["in place", "static"])
def test_every_layout_and_the_packed_kernel_give_the_logits_of_the_stock_cache(
    torch, kvd, model, layout
):
    filler, ids = kvd.Filler(model), kvd.words(model, 2, 3, seed=5)
    assert "packed" in kvd.kernels_here()
    logits = {}
    with torch.no_grad():
        for name, kernel in (("dynamic", "sdpa"), (layout, "sdpa"), (layout, "packed")):
            cache = filler.stock(name, 40, 2, 43)
            with kvd.only(model, kernel):
                steps = [kvd.fed(model, one, cache) for one in ids.split(1, dim=1)]
            logits[name, kernel] = torch.stack(steps)
            assert int(cache.get_seq_length()) == 43
    assert model.config._attn_implementation == "sdpa"
    stock = logits["dynamic", "sdpa"]
    assert all((one - stock).abs().max() < 1e-5 for one in logits.values())


@pytest.mark.torch
def test_a_prompt_that_is_read_gives_what_the_model_itself_stores(torch, kvd, model):
    from memsieve import kv
    from memsieve.kv.bench import setting

    with torch.no_grad(), kv.enable(model) as memory:
        whole = kvd.Filler(model, reads_prompt=True).managed(memory, setting("frame", 1), 50)
        parts = kvd.Filler(model, reads_prompt=True, n_chunk=16).managed(
            memory, setting("frame", 1), 50
        )
        stock = kv.extras.DynamicCache(config=model.config)
        kvd.fed(model, kvd.words(model, 1, 50, 0), stock)
    for a, b, c in zip(whole.layers, parts.layers, stock.layers, strict=True):
        assert torch.equal(a.keys, c.keys)
        assert (b.keys - c.keys).abs().max() < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize("name", ["h2o", "snapkv", "streaming-llm", "quest", "icecache"])
def test_a_drawn_prompt_leaves_as_much_as_one_that_is_read(torch, kvd, model, name):
    from memsieve import kv
    from memsieve.kv.bench import setting

    with torch.no_grad(), kv.enable(model) as memory:
        stats = [
            kvd.Filler(model, reads_prompt=reads).managed(memory, setting(name, 32), 100).stats
            for reads in (False, True)
        ]
    drawn, read = stats
    assert (drawn.n_logical, drawn.bytes_device) == (100, read.bytes_device)
    assert (drawn.bytes_host, drawn.bytes_state) == (read.bytes_host, read.bytes_state)


@pytest.mark.torch
def test_drawn_keys_are_spread_as_those_of_the_model(torch, kvd, model):
    with torch.no_grad():
        cache = kvd.Filler(model).stock("dynamic", 500, 3, 500)
        real = kv_cache_of(model, kvd)
    for drawn, own in zip(cache.layers, real.layers, strict=True):
        assert torch.equal(drawn.keys[0], drawn.keys[2])
        assert drawn.keys.std() == pytest.approx(float(own.keys.std()), rel=0.1)
        assert drawn.values.std() == pytest.approx(float(own.values.std()), rel=0.1)


def kv_cache_of(model, kvd):
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    kvd.fed(model, kvd.words(model, 1, 200, 3), cache)
    return cache


@pytest.mark.torch
def test_rows_are_copies_of_the_first_and_can_be_fewer_again(torch, kvd, model):
    from memsieve import kv
    from memsieve.kv.bench import setting

    with torch.no_grad(), kv.enable(model) as memory:
        filled = kvd.Managed(kvd.Filler(model), memory, setting("h2o", 32), 64)
        for n_rows in (3, 1, 4):
            cache = filled.at(n_rows)
            kvd.steps_s(model, cache, kvd.words(model, n_rows, 2, 1), 0)
            assert cache.managed[0].keys.shape[0] == n_rows
        assert cache.get_seq_length() == 64 + 3 * 2
        filled.drop()
        again = filled.at(2)
    assert again.get_seq_length() == 64
    assert torch.equal(again.managed[0].keys[0], again.managed[0].keys[1])


@pytest.mark.torch
def test_what_does_not_fit_is_tried_with_fewer_rows(torch, kvd, script, model, capsys):
    class Scarce(kvd.Stock):
        """Memory for 13 rows."""

        def at(self, n_rows):
            if n_rows > 13:
                raise torch.cuda.OutOfMemoryError
            return super().at(n_rows)

    record = script.Record({})
    bench = script.Bench(script.SMALL, kvd.Filler(model), record, ["fit"], 2, 1, profiles=False)
    asked = script.Asked(script.setting("full", 1), None, 20, "dynamic")
    scarce = Scarce(bench.filler, "dynamic", 20, bench.n_spare)
    with torch.no_grad():
        assert bench._measured(asked, "max", 16, scarce).n_rows == 13
        assert bench._measured(asked, "fit", 16, scarce) is None
        assert bench._measured(asked, "max", 64, scarce) is None
    assert record.notes == [
        "20 full (dynamic, sdpa), fit 16: out of memory",
        "20 full (dynamic, sdpa), max 44: out of memory",
    ]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("batch", "row_bytes", "host_bytes", "n_rows"),
    [("fit", 9e9, 0, 8), ("max", 4.4e9, 0, 15), ("max", 2.2e9, 0, 30), ("3", 9e9, 0, 3)],
)
def test_rows_that_fit_a_gpu_of_80_gb_at_32k(
    torch, script, kvd, batch, row_bytes, host_bytes, n_rows
):
    bench = script.Bench(kvd.Decoder(), None, None, ["fit"], 16, 3, profiles=False)
    assert bench._rows(batch, 32_768, 68_000_000_000, int(row_bytes), host_bytes) == n_rows
    on_host = kvd.host_bytes() // 6 + 1
    assert bench._rows(batch, 32_768, 68_000_000_000, int(row_bytes), on_host) == 1
