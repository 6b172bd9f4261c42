"""The training script: what the model is shown, and a real GRPO run of a tiny random model."""

import importlib.util
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsieve.learn.trl import COLUMNS
from memsieve.systems.memory_t1 import sessions_of
from memsieve.types import Message

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_memory_t1.py"
ASKED = datetime(2024, 6, 1, 12, tzinfo=UTC)
# Whole answers are single words of the tiny model, so that it writes readable ones by chance.
ANSWERS = [
    json.dumps({"selected_memory": [f"session_{n}"], "answer": letter})
    for n in (1, 2, 3)
    for letter in "AB"
]
WORDS = ["Ana", "Ben", "hiking", "the", "hills", "went", "session", "Who", "What", "answer"]


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the examples are only in the source tree")
    spec = importlib.util.spec_from_file_location("train_memory_t1", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def conversations(tmp_path):
    """Three dated sessions of two turns; two questions of choice, one without an answer."""

    def turn(session, number, text):
        at = f"2024-0{session + 2}-05T09:00:00Z"
        speaker = ("Ana", "Ben")[number - 1]
        key = f"s{session}t{number}"
        return {"id": key, "session": f"s{session}", "at": at, "speaker": speaker, "text": text}

    content = {
        "id": "ana",
        "turns": [
            turn(session, number, text)
            for session, texts in enumerate(
                [
                    ("We went hiking in the hills.", "I see."),
                    ("We went swimming two weeks ago.", "Brr."),
                    ("We went cycling.", "Where?"),
                ],
                1,
            )
            for number, text in enumerate(texts, 1)
        ],
        "questions": [
            {
                "question": "What did Ana do in April 2024? A. hike B. swim",
                "evidence": ["s2t1"],
                "category": "options",
                "answer": "B",
            },
            {
                "question": "Who went cycling?",
                "evidence": ["s3t1"],
                "category": "who",
                "answer": "Ana | both",
            },
            {"question": "Who fell?", "evidence": ["s1t1"], "category": "who"},
        ],
    }
    folder = tmp_path / "conversations"
    folder.mkdir()
    (folder / "ana.json").write_text(json.dumps(content))
    return folder


def examples(script, data, *options):
    chosen = script.parser().parse_args([str(data), *options])
    return list(script.examples(chosen, count=lambda text: len(text.split())))


# What the model is shown


def test_a_row_is_made_for_each_question_with_an_answer(script, conversations):
    first, second = examples(script, conversations)
    assert set(first) == {"prompt", *COLUMNS}
    assert [row["gold_sessions"] for row in (first, second)] == [["session_2"], ["session_3"]]
    assert [row["gold_answer"] for row in (first, second)] == ["B", "Ana"]
    assert [row["task"] for row in (first, second)] == ["options", "words"]
    assert examples(script, conversations, "--limit", "1") == [first]
    assert first["prompt"].endswith(f"2024-05-05 09:00:00: {first['question']}")
    assert all(f"<{name}>" in first["prompt"] for name in first["session_ids"])


def test_the_time_of_a_question_is_what_it_names_or_the_days_of_its_evidence(script, conversations):
    named, unnamed = examples(script, conversations)
    assert (named["asked_from"], named["asked_to"]) == ("2024-04-01", "2024-04-30")
    assert (unnamed["asked_from"], unnamed["asked_to"]) == ("2024-05-05", "2024-05-05")


def test_a_question_open_at_one_end_stays_so(script):
    (session,) = sessions_of([Message("a", session="s", at=ASKED)])
    since = script.asked_time("What happened since May 2024?", ASKED, [session])
    assert (since.start, since.end) == (datetime(2024, 5, 1, tzinfo=UTC), None)
    until = script.asked_time("What happened before May 2024?", ASKED, [session])
    assert (until.start, until.end) == (None, datetime(2024, 5, 1, tzinfo=UTC))


def test_events_are_the_times_that_turns_name_or_the_day_on_which_they_were_said(
    script, conversations
):
    row, _ = examples(script, conversations)
    told = dict(zip(row["session_ids"], row["session_events"], strict=True))
    ago, said = told["session_2"]
    assert ago == [
        {
            "summary": "We went swimming two weeks ago.",
            "first": "2024-03-22",
            "last": "2024-03-22",
        }
    ]
    assert [(event["first"], event["last"]) for event in said] == [("2024-04-05", "2024-04-05")]


@pytest.mark.parametrize(
    ("limit", "shown"), [(0, {0}), (10, {0}), (11, {0}), (20, 2), (30, 3), (100, 4)]
)
def test_the_evidence_is_shown_and_others_while_they_fit(script, limit, shown):
    sessions = sessions_of([Message(str(n), session=f"s{n}", at=ASKED) for n in range(4)])
    tokens = {session.id: 10 for session in sessions}
    seen = script.pool(sessions[:1], sessions, tokens, limit, random.Random(0))
    if isinstance(shown, set):
        assert seen == [sessions[i] for i in shown]
    else:
        assert len(seen) == len({one.id for one in seen}) == shown
        assert sessions[0] in seen


def test_the_place_of_the_evidence_tells_nothing(script):
    sessions = sessions_of([Message(str(n), session=f"s{n}", at=ASKED) for n in range(4)])
    tokens = {session.id: 1 for session in sessions}
    rng = random.Random(0)
    places = [
        script.pool(sessions[:1], sessions, tokens, 100, rng).index(sessions[0]) for _ in range(400)
    ]
    assert all(70 < places.count(place) < 130 for place in range(4))


def test_undated_evidence_cannot_be_rewarded_and_is_left_out(script, conversations, capsys):
    file = conversations / "ana.json"
    content = json.loads(file.read_text())
    for turn in content["turns"]:
        del turn["at"]
    file.write_text(json.dumps(content))
    assert script.main([str(conversations), "--show"]) == 1
    assert "must hold a question with an answer and dated evidence" in capsys.readouterr().err


def test_the_first_example_can_be_looked_at_without_a_model(script, conversations, capsys):
    assert script.main([str(conversations), "--show"]) == 0
    out = capsys.readouterr().out
    for part in ("<session_2>", '"selected_memory"', "gold_sessions: ['session_2']"):
        assert part in out


def test_training_asks_for_a_model_and_for_its_extra(script, conversations, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        script.main([str(conversations)])
    assert stopped.value.code == 2
    assert "--model" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "trl", None)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert script.main([str(conversations), "--model", "none"]) == 1
    assert "pip install 'memsieve[training]'" in capsys.readouterr().err


def test_the_defaults_are_the_papers(script):
    options = script.parser().parse_args(["data"])
    assert (options.group, options.beta, options.learning_rate) == (8, 0.1, 1e-6)
    assert (options.questions_per_step, options.temperature, options.epsilon) == (32, 1.0, 0.2)
    assert (options.prompt_tokens, options.answer_tokens) == (15_000, 128)


# A real run


@pytest.fixture
def tiny_model(tmp_path):
    """A folder with a two-layer random Llama and a tokenizer of 20 words, 6 of them answers."""
    torch = pytest.importorskip("torch", reason="training needs torch")
    pytest.importorskip("trl", reason="training needs trl")
    tokenizers = pytest.importorskip("tokenizers")
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<unk>", "<pad>", "</s>"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.add_tokens(ANSWERS)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=model, unk_token="<unk>", pad_token="<pad>", eos_token="</s>"
    )
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    folder = tmp_path / "model"
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def one_thread():
    """So small a model is slower on several threads, many times so on a busy machine."""
    torch = pytest.importorskip("torch", reason="training needs torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # the libraries' own, which change by release
def test_a_tiny_model_is_trained_and_learns_to_name_the_evidence(
    script, conversations, tiny_model, tmp_path, one_thread
):
    import torch

    options = script.parser().parse_args(
        [
            *(str(conversations), "--model", str(tiny_model), "--out", str(tmp_path / "out")),
            *("--limit", "1", "--questions-per-step", "1", "--group", "16", "--per-device", "16"),
            *("--steps", "20", "--answer-tokens", "1", "--learning-rate", "0.02"),
        ]
    )
    trainer = script.train(options)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert trainer.state.global_step == len(log) == 20

    rewards = [entry["rewards/memory_t1_total/mean"] for entry in log]
    assert rewards == [entry["reward"] for entry in log]
    assert all(-0.8 <= reward <= 1.0 for reward in rewards)
    # The parts are those of this reward, and the total is their weighted sum or the penalty.
    for entry in log:
        parsed = entry["memory_t1/parsed"]
        total = (
            0.6 * entry["memory_t1/answer"]
            + 0.2 * entry["memory_t1/grounding"]
            + 0.2 * entry["memory_t1/temporal"]
            - 0.5 * (1 - parsed)
        )
        assert entry["memory_t1/total"] == pytest.approx(total, abs=1e-5)
        assert entry["memory_t1/total"] == pytest.approx(entry["reward"], abs=1e-5)

    before, after = weights(tiny_model), weights(tmp_path / "out")
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) == len(before)
    # 0.9: the right session and the right answer every time, no event being about the question.
    assert sum(rewards[:3]) / 3 < 0
    assert sum(rewards[-3:]) / 3 > 0.7


@pytest.mark.torch
@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--questions-per-step", "3"), "must be at most the number of questions, 2, got 3"),
        (("--per-device", "7"), "must divide --questions-per-step times --group, 256, got 7"),
    ],
)
def test_a_batch_that_cannot_be_filled_is_refused(
    script, conversations, tiny_model, options, rule, capsys
):
    assert script.main([str(conversations), "--model", str(tiny_model), *options]) == 1
    assert rule in capsys.readouterr().err
