"""What we train on: every file loads, and the generated ones are what their tool writes."""

import importlib.util
import json
from pathlib import Path

import pytest

from memsieve.embed import NoEmbedder
from memsieve.evaluate import evaluate, load
from memsieve.evaluate.baselines import BM25
from memsieve.evaluate.memory_system import MemorySystem
from memsieve.score.policy import load as load_policy
from memsieve.score.policy import shipped

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "corpus"
if not CORPUS.exists():
    pytest.skip("the corpus is only in the source tree", allow_module_level=True)


def tool(name):
    """A module of tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("folder", "scopes", "questions"),
    [("conversations", 12, 771), ("monologues", 4, 224), ("dated", 16, 224)],
)
def test_every_question_has_evidence_that_is_there(folder, scopes, questions):
    data = load(CORPUS / folder)
    assert (len(data.scopes), data.n_questions, data.skipped) == (scopes, questions, ())
    assert f"{questions} questions" in (CORPUS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["conversations", "monologues"])
def test_nobody_says_the_same_thing_often(folder):
    for scope in load(CORPUS / folder).scopes:
        texts = [message.text for message in scope.messages]
        assert len(set(texts)) > 0.97 * len(texts), scope.id


def test_the_dated_conversations_are_those_that_the_tool_writes():
    dated = tool("dated_corpus")
    files = sorted((CORPUS / "dated").glob("*.json"))
    assert len(files) == dated.N_SCOPES
    for number, path in enumerate(files):
        assert json.loads(path.read_text(encoding="utf-8")) == dated.scope(number)


def test_in_dated_conversations_words_alone_do_not_tell_which_turn_is_meant():
    data = load(CORPUS / "dated")
    found = {}
    for system in (BM25(NoEmbedder()), MemorySystem(policy="equal")):
        found[system.name] = evaluate(system, data, budgets=(100,)).to_json()["turn"]["recall"]["1"]
        system.close()
    assert found["bm25"] < 0.3  # of some five turns of a kind it cannot know the right one
    assert found["memsieve"] > found["bm25"] + 0.3


def test_the_default_policy_learned_from_what_may_ship_only():
    sources = load_policy("default").trained_on["sources"]
    assert {source["source"] for source in sources} == {
        "conversations", "monologues", "dated", "examples", "bfcl", "tau2",
    }  # fmt: skip
    assert all(source["licence"].startswith(("Apache-2.0", "MIT")) for source in sources)
    assert "locomo" not in json.dumps(load_policy("default").to_json()).lower()


def test_the_policy_that_may_not_be_used_freely_says_so():
    ours, theirs = sorted(load_policy("locomo").trained_on["sources"], key=lambda s: s["source"])
    assert (ours["source"], theirs["source"]) == ("conversations", "locomo")
    assert "NC" in theirs["licence"]
    assert shipped() == ("default", "equal", "locomo")


@pytest.mark.parametrize("name", ["default", "locomo"])
def test_a_shipped_policy_says_how_it_was_made_and_what_it_reached_put_aside(name):
    policy = load_policy(name)
    assert policy.recipe["n_steps"] > 0
    for figures in policy.measured["put_aside"].values():
        assert set(figures) == {"recall1", "recall5", "recall10", "ndcg10"}
        assert all(0 < value <= 1 for value in figures.values())
