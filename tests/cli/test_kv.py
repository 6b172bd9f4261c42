"""memsieve kv bench: with PyTorch it measures, without it says in one line what is missing."""

import json
from importlib.util import find_spec

import pytest

SMALL = ("--layers", "2", "--hidden", "32", "--heads", "4", "--head-dim", "16", "--no-needles")
SHORT = ("--length", "48", "--budget", "16", "--steps", "2", "--policy", "h2o")


def installed():
    return bool(find_spec("torch") and find_spec("transformers"))


def with_torch(test):
    """Run by `make test-torch`, skipped where the extra is missing."""
    reason = "PyTorch or transformers is not installed"
    return pytest.mark.torch(pytest.mark.skipif(not installed(), reason=reason)(test))


def test_without_the_extra_one_line_names_it(cli):
    if installed():
        pytest.skip("the extra kv is installed")
    answer = cli("kv", "bench")
    assert answer.code == 1
    assert answer.error.endswith("needs an optional dependency: pip install 'memsieve[kv]'")


def test_only_bench_can_be_done(cli):
    answer = cli("kv", "banch")
    assert answer.code == 2
    assert answer.error == "memsieve: 'memsieve kv' knows bench only, got 'banch'"


def test_the_command_line_loads_no_pytorch(elsewhere):
    loaded = (
        "import sys, memsieve.cli.app; print('torch' in sys.modules, 'memsieve.kv' in sys.modules)"
    )
    assert elsewhere(loaded) == "False False"


def test_an_unwritable_place_is_refused_before_the_work(cli, tmp_path):
    answer = cli("kv", "bench", "--json", tmp_path / "nowhere" / "out.json")
    assert answer.code == 1
    assert "its folder is missing or read-only" in answer.error


@with_torch
def test_figures_are_printed_and_written(good, tmp_path):
    out, folder = tmp_path / "out.json", tmp_path / "plots"
    answer = good(
        "kv", "bench", *SMALL, *SHORT, "--json", out, "--plot", folder, "--rate", "0.5"
    )  # fmt: skip
    assert answer.lines[0].startswith("llama: family llama, n_layers 2, n_heads 4, n_kv_heads 2")
    assert [line.split()[0] for line in answer.lines[1:4]] == ["policy", "full", "h2o"]
    figures = json.loads(out.read_text(encoding="utf-8"))
    full, h2o = figures["figures"]
    assert h2o["bytes_device"] == 2 * 16 * 2 * 2 * 16 * 4
    assert full["n_prompt"] == 48
    assert len(figures["served"]) == 4
    assert "<svg" in (folder / "kv_bench.html").read_text(encoding="utf-8")
    assert (folder / "kv_bench.png").exists()


@with_torch
def test_json_on_stdout_is_all_that_is_printed(good):
    assert good("kv", "bench", *SMALL, *SHORT, "--json", "-").json["model"] == "llama"
    assert good("--json", "kv", "bench", "qwen3", *SMALL, *SHORT[:-2], "--policy", "frame",
                "--json", "-").json["figures"][1]["kl"] == 0.0  # fmt: skip


@with_torch
def test_a_budget_that_does_not_fit_is_told_below_the_table(good):
    answer = good("kv", "bench", *SMALL, *SHORT[:-1], "streaming-llm", "--budget", "2")
    assert answer.lines[-1].startswith("streaming-llm at 2: StreamingLLM.budget_tokens must be >=")


@with_torch
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--policy", "nonsense"), 2, "--policy must be one of full, frame, "),
        (("nonsense",), 2, "transformers has no decoder called 'nonsense'"),
        (("./nowhere",), 1, "no folder of a model at ./nowhere"),
        (("--dtype", "int8"), 2, "dtype must be one of"),
        (("--budget", "0"), 2, "budgets must be >= 1"),
        (("t5",), 2, "t5"),
    ],
)
def test_wrong_use_is_one_line(cli, arguments, code, said):
    answer = cli("kv", "bench", *arguments, *SMALL)
    assert answer.code == code, answer
    assert said in answer.error
