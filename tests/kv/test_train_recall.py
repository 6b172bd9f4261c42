"""A model that has really learned to recall: what is left of it under each policy."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("torch")]

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_recall.py"
N_TOKENS, QUARTER = 128, 32
RETRIEVING = ("quest", "icecache", "infinigen")
EVICTING = ("h2o", "keyformer", "snapkv", "streaming-llm", "tova", "windowkv")


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    spec = importlib.util.spec_from_file_location("train_recall", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def trained(script):
    *_, (step, loss, model) = script.train(script.Task(), n_steps=300)
    assert step == 300
    assert loss < 0.1
    return model


@pytest.fixture(scope="module")
def found(script, trained):
    return script.compare(
        trained,
        script.Task(),
        n_tokens=N_TOKENS,
        budgets=(QUARTER, N_TOKENS // 2),
        policies=("frame", *RETRIEVING, *EVICTING),
    )


def test_the_model_has_learned_what_it_is_asked(found):
    assert found["full", None][0] > 0.95
    assert found["frame", None] == found["full", None]


@pytest.mark.parametrize("name", RETRIEVING)
def test_retrieving_keeps_what_the_full_cache_knows_at_a_quarter(found, name):
    assert found[name, QUARTER][0] >= 0.95 * found["full", None][0]


@pytest.mark.parametrize("name", EVICTING)
def test_forgetting_costs_answers_that_nobody_could_foresee(found, name):
    quarter, half = found[name, QUARTER], found[name, N_TOKENS // 2]
    assert quarter[0] < 0.7 * found["full", None][0]
    assert quarter[0] < half[0]
    assert quarter[1] < half[1] < found["full", None][1]


def test_a_text_holds_its_facts_and_the_answers_to_its_questions(script):
    import torch

    task = script.Task(n_keys=5, n_values=3, n_filler=2)
    (ids,) = task.texts(1, 20, 4, 3, torch.Generator().manual_seed(0))
    facts = {int(i) // 3: int(i) % 3 for i in ids[:20] if i < task.first_question}
    assert len(facts) == 4
    questions, answers = ids[20::2], ids[21::2]
    for question, answer in zip(questions, answers, strict=True):
        assert facts[int(question) - task.first_question] == int(answer) - task.first_answer
    assert int(ids.max()) < task.vocabulary
