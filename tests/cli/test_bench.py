"""bench: the figures of the library, beside the baselines, as table, JSON, rows and plots."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from memsieve import registry
from memsieve.cli.commands_bench import BASELINES
from memsieve.embed import Static
from memsieve.evaluate import evaluate, load
from memsieve.evaluate.memory_system import MemorySystem

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "conversations"
TIMED = {"latency_ms", "add_per_s", "db_bytes"}
CONTRACT = {
    "dataset", "system", "policy", "embedder", "n_questions", "turn", "session", "by_category",
    "budget_recall", "tokens_returned_mean", "macro", "model_calls", "with_model", *TIMED,
}  # fmt: skip


def test_the_table_names_data_embedder_and_what_was_skipped(good, conversation, database):
    lines = good("bench", conversation).lines
    assert lines[:3] == [
        "conversations: 3 questions about 4 messages in 1 conversations",
        "skipped: 1 questions, such as 'Who is Cleo?': no evidence",
        f"embedder: {Static().identity}",
    ]
    assert lines[3].split()[:5] == ["system", "R@1", "R@5", "R@10", "R@20"]
    assert [line.split()[0] for line in lines[4:]] == [
        "memsieve",
        *BASELINES,
        *registry.names()[1:],
    ]
    assert not database.exists()


def test_one_system_gives_the_report_of_the_library(good, conversation):
    figures = good("bench", conversation, "--system", "memsieve", "--json", "-").json
    system = MemorySystem()
    expected = evaluate(system, load(conversation)).to_json()
    system.close()
    assert figures.pop("skipped") == [
        {"scope": "ana-and-ben", "question": "Who is Cleo?", "why": "no evidence"}
    ]
    assert set(figures) == CONTRACT
    assert {name: figures[name] for name in CONTRACT - TIMED} == {
        name: expected[name] for name in CONTRACT - TIMED
    }


def test_several_systems_stand_beside_the_report_of_the_first(good, conversation, tmp_path):
    out = tmp_path / "figures.json"
    good("bench", conversation, "--json", out, "--system", "bm25", "--system", "memsieve")
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert [report["system"] for report in figures["systems"]] == ["memsieve", "bm25"]
    assert {name: figures[name] for name in CONTRACT} == figures["systems"][0]
    assert figures["baseline"] == "memsieve"
    assert set(figures["differences"]) == {"bm25"}


def test_the_shared_json_option_prints_the_figures_too(good, conversation):
    figures = good("--json", "bench", conversation, "--system", "recency").json
    assert (figures["system"], figures["embedder"]) == ("recency", "none")


def test_questions_budgets_and_embedder_are_chosen(good, conversation):
    figures = good(
        "bench", conversation, "--categories", "event", "--budgets", "20,10", "--json", "-",
        "--embedder", "none", "--system", "bm25+dense",
    ).json  # fmt: skip
    assert figures["n_questions"] == 1
    assert list(figures["by_category"]) == ["event"]
    assert list(figures["budget_recall"]) == ["10", "20"]
    assert figures["embedder"] == "none"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--categories", "poetry"], "categories must be among event, fact, got poetry"),
        (["--budgets", "0"], "budgets must be one or more numbers >= 1"),
        (["--k", "10"], "k must be >= 50, the deepest recall reported, got 10"),
        (["--dataset", "squad"], "dataset must be one of auto"),
    ],
)
def test_a_choice_that_is_none_is_one_line(cli, conversation, options, message):
    answer = cli("bench", conversation, *options)
    assert message in answer.error
    assert answer.code == 2


def test_a_data_set_read_as_another_is_one_line(cli, conversation):
    answer = cli("bench", conversation, "--dataset", "locomo")
    assert answer.error
    assert answer.code == 1


def test_the_rows_hold_every_question_of_every_system(good, conversation, tmp_path):
    out = tmp_path / "rows.jsonl"
    good("bench", conversation, "--rows", out, "--system", "bm25", "--system", "random")
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["system"] for row in rows] == ["random"] * 3 + ["bm25"] * 3
    assert [row["question"] for row in rows[3:]] == [
        "Where did Ana move?", "What does Ben paint?", "What was late?",
    ]  # fmt: skip
    assert rows[3]["evidence"] == {"t1": 1}


def test_the_plots_lie_in_the_folder(good, conversation, tmp_path):
    pytest.importorskip("matplotlib", reason="the PNG needs matplotlib")
    good("bench", conversation, "--plot", tmp_path / "plots", "--system", "bm25")
    assert "bm25" in (tmp_path / "plots" / "budget_recall.html").read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "budget_recall.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is not None, reason="matplotlib is installed"
)
def test_without_matplotlib_the_page_is_written_and_the_picture_is_missed(
    cli, conversation, tmp_path
):
    answer = cli("bench", conversation, "--plot", tmp_path / "plots", "--system", "bm25")
    assert answer.code == 0
    assert "no budget_recall.png: a plot as PNG needs an optional dependency" in answer.error
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["budget_recall.html"]


def test_on_a_terminal_progress_is_shown_and_the_table_comes_in_parts(terminal, conversation):
    answer = terminal("bench", conversation, "--system", "bm25", "--system", "memsieve", columns=70)
    assert answer.code == 0
    assert "memsieve" in answer.err
    assert answer.out.count("system") > 1
    plain = re.sub(r"\x1b\[[0-9;]*m", "", answer.out).splitlines()
    assert max(map(len, plain[3:])) <= 70


def test_memsieve_is_ahead_of_its_baselines_on_the_examples(good):
    figures = good("bench", EXAMPLES, "--budgets", "500", "--json", "-").json
    at_10 = {report["system"]: report["turn"]["recall"]["10"] for report in figures["systems"]}
    in_500 = {report["system"]: report["budget_recall"]["500"] for report in figures["systems"]}
    assert figures["n_questions"] == 90
    # Memsieve itself without time is no baseline: where no question is one of time, they are equal.
    for measured in (at_10, in_500):
        del measured["memsieve-timeless"]
    assert max(at_10, key=at_10.get) == max(in_500, key=in_500.get) == "memsieve"
    assert at_10["random"] < 0.2 < at_10["bm25"]


def test_what_a_model_adds_stands_in_columns_of_its_own(good, conversation, scripted):
    note = {"keywords": ["boat"], "context": "Of a harbour.", "tags": ["work"]}
    said = {"role": "assistant", "content": json.dumps(note)}
    scripted.usual = (200, {"choices": [{"message": said}], "usage": {}})
    spec = f"{scripted.url}#m"
    figures = good(
        "bench",
        conversation,
        "--system",
        "a-mem",
        "--system",
        "bm25",
        "--model",
        spec,
        "--json",
        "-",
    ).json
    noted, plain = figures["systems"][1], figures["systems"][0]
    assert (plain["system"], plain["with_model"]) == ("bm25", None)
    # One note for the first of four turns, two questions for each other, asked again at most once.
    assert 7 <= noted["with_model"]["model_calls"] == len(scripted.bodies) <= 14
    assert noted["model_calls"] is None
    assert noted["with_model"]["turn"]["recall"]["10"] == 1.0
    table = good("bench", conversation, "--system", "memsieve", "--model", spec).lines
    assert table[3].split()[-3:] == ["model:", "R@10", "calls"]
    assert table[4].split()[-2:] == ["1.000", "0"]  # memsieve's own asks no model
