"""train and feedback: a policy file that other commands take, and a memory that learns from use."""

import json
import shutil
from pathlib import Path

import pytest

import memsieve
from memsieve.evaluate import load as load_data
from memsieve.learn.scoring import FIGURES
from memsieve.score.features import NAMES
from memsieve.score.policy import load

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "conversations"
QUICK = ("--method", "listwise", "--steps", "100", "--folds", "2")


@pytest.fixture
def talks(conversation, tmp_path):
    """A folder of two small conversations."""
    folder = tmp_path / "talks"
    folder.mkdir()
    for name in ("a", "b"):
        content = {**json.loads(conversation.read_text(encoding="utf-8")), "id": name}
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def out(tmp_path):
    """Where a policy is to be written."""
    return tmp_path / "mine.json"


@pytest.fixture
def memory(database):
    """A memory of one turn; gives the id of a recall that was tracked."""
    with memsieve.open(database, embedder="none") as one:
        one.add("Ana moved to Lisbon last spring.")
        return one.recall("Where did Ana move?", track=True).id


@pytest.fixture
def used(database):
    """A memory of things with prices, and so many recalls of which the price was used."""

    def make(n, *, chooses=lambda found: max(found, key=lambda hit: "340" in hit.text)):
        things = ("kiln", "loom", "canoe", "piano", "stove")
        with memsieve.open(database, embedder="none") as memory:
            memory.adopt(load("equal"))
            for thing in things:
                memory.add(
                    [
                        f"The {thing} came from my aunt.",
                        f"I keep the {thing} in the shed.",
                        f"The {thing} cost me 340 euros.",
                        f"Nobody else may use the {thing}.",
                        f"The {thing} is older than I am.",
                    ],
                    session=thing,
                )
            for i in range(n):
                found = memory.recall(f"What about the {things[i % 5]}?")
                memory.feedback(found.id, chooses(found).id)

    return make


def told(answer, code):
    """The one line of an answer that failed."""
    assert (answer.code, answer.out) == (code, ""), answer
    assert "please report" not in answer.error
    return answer.error


def test_training_writes_a_file_that_bench_and_recall_accept(good, talk, out, conversation):
    shown = good("train", "policy", EXAMPLES, "--out", out, *QUICK, db=None).out
    policy = load(out)
    assert (policy.name, policy.kind, policy.features) == ("mine", "linear", NAMES)
    data = load_data(EXAMPLES)
    assert policy.trained_on["sources"] == ["conversations"]
    assert (policy.trained_on["questions"], policy.trained_on["scopes"]) == (data.n_questions, 2)
    assert sum(policy.trained_on["categories"].values()) == data.n_questions
    assert policy.recipe["method"] == "listwise"
    assert policy.recipe["learning_rate"] == 0.03
    assert policy.measured["put_aside"]["ndcg10"] >= policy.measured["start"]["ndcg10"] - 0.05
    lines = shown.splitlines()
    assert lines[0].startswith(f"{data.n_questions} questions, {policy.recipe['n_steps']} steps, ")
    assert lines[1].split() == list(FIGURES.values())
    assert lines[2].startswith("start ")
    assert lines[3].startswith("trained, put aside ")
    assert f"wrote {out}, {out.stat().st_size:,} bytes" in lines
    report = good(
        "bench", conversation, "--policy", out, "--system", "memsieve", "--json", "-"
    ).json
    assert report["policy"] == "mine"
    found = good("recall", "Where did Ana move?", "--policy", out, "--k", "1", "--json").json
    assert [hit["id"] for hit in found["hits"]] == talk[:1]


def test_the_figures_of_a_training_as_json(good, talks, out):
    found = good("train", "policy", talks, "--out", out, *QUICK, "--json").json
    assert {name: found[name] for name in ("policy", "bytes", "questions")} == {
        "policy": str(out), "bytes": out.stat().st_size, "questions": 6,
    }  # fmt: skip
    assert set(found) == {"policy", "bytes", "questions", "steps", "seconds", "start", "trained"}
    assert set(found["start"]) == set(found["trained"]) == set(FIGURES)
    assert found["steps"] in (0, 100)
    assert found["trained"]["recall10"] >= found["start"]["recall10"]


def test_where_no_step_helps_the_start_is_written_and_that_is_said(good, talks, out):
    # Two copies of one easy conversation: the untrained sum is right everywhere.
    lines = good("train", "policy", talks, "--out", out, *QUICK).lines
    assert "no step was better than the start on what was put aside: it is the start" in lines
    assert {weight for weight in load(out).weights.values() if weight} == {0.5}


def test_the_same_seed_writes_the_same_file_and_another_seed_another(good, tmp_path):
    texts = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        out = tmp_path / name / "mine.json"
        out.parent.mkdir()
        good(
            "train", "policy", EXAMPLES, "--out", out, "--steps", "10", "--folds", "2",
            "--seed", seed, "--categories", "single-hop,temporal",
        )  # fmt: skip
        texts.append(out.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert set(json.loads(texts[0])["trained_on"]["categories"]) == {"single-hop", "temporal"}


@pytest.mark.parametrize("method", ["pairwise", "pointwise"])
def test_every_method_has_its_name(good, talks, out, method):
    good("train", "policy", talks, "--out", out, "--method", method, "--steps", "3")
    assert load(out).recipe["method"] == method


@pytest.mark.parametrize("reward", ["ranking", "budget", "memory-t1", "answer", "grounding"])
def test_every_reward_has_its_name(good, talks, out, reward):
    good("train", "policy", talks, "--out", out, "--reward", reward, "--steps", "3")
    assert load(out).recipe["reward"] == reward


def test_a_small_network_starts_where_a_policy_of_ones_own_does(good, talks, tmp_path, out):
    start = tmp_path / "start.json"
    content = {"format": "memsieve-policy", "schema": 1, "name": "s", "kind": "linear"}
    start.write_text(json.dumps({**content, "weights": {"words": 2.0}}), encoding="utf-8")
    good("train", "policy", talks, "--out", out, *QUICK, "--kind", "mlp", "--start", start)
    policy = load(out)
    # Where no step was better than the start on what was put aside, it is the start itself.
    assert policy.kind == ("mlp" if policy.recipe["n_steps"] else "linear")
    assert policy.recipe["start"] == str(start)
    assert policy.weights["words"] > 1
    assert policy.recipe["learning_rate"] == 0.01


WRONG = [
    # command line, exit code, what the line says; TALKS, LONE, OUT and so on are paths
    (["policy"], 2, "name data sets to learn from, or --from-feedback"),
    (["policy", "--out", "OUT"], 2, "name data sets to learn from, or --from-feedback"),
    (["policy", "TALKS"], 2, "say where to write the policy: --out FILE"),
    (["policy", "--from-feedback"], 2, "say where to write the policy: --out FILE"),
    (["policy", "TALKS", "--adopt", "--out", "OUT"], 2, "--adopt goes with --from-feedback"),
    (["policy", "TALKS", "--adopt"], 2, "--adopt goes with --from-feedback"),
    (["policy", "TALKS", "--from-feedback", "--out", "OUT"], 2, "name no data beside it"),
    (["embedder", "TALKS", "--out", "OUT"], 2, "only a policy can be trained, got 'embedder'"),
    (["TALKS", "--out", "OUT"], 2, "only a policy can be trained"),
    ([], 2, "missing argument 'policy'"),
    (["policy", "TALKS", "--out", "OUT", "--method", "magic"], 2, "must be one of group-relative,"),
    (["policy", "TALKS", "--out", "OUT", "--reward", "praise"], 2, "must be one of ranking, budg"),
    (["policy", "TALKS", "--out", "OUT", "--kind", "tree"], 2, "must be linear or mlp, got 'tree'"),
    (["policy", "TALKS", "--out", "OUT", "--categories", "poetry"], 2, "the category 'poetry', th"),
    (["policy", "TALKS", "--out", "OUT", "--categories", ","], 2, "name at least one category"),
    (["policy", "TALKS", "--out", "-"], 2, "--out must name a file"),
    (["policy", "TALKS", "--out", "OUT", "--seed", "-1"], 2, "seed must be a whole number >= 0"),
    (["policy", "TALKS", "--out", "OUT", "--budget", "-5"], 2, "must be >= 1 token, got -5"),
    (
        ["policy", "TALKS", "--out", "OUT", "--method", "listwise", "--reward", "praise"],
        2,
        "must be one of ranking, budg",
    ),
    (["policy", "TALKS", "--out", "OUT", "--steps", "0"], 2, "n_steps must be a whole number >= 1"),
    (["policy", "TALKS", "--out", "OUT", "--steps", "many"], 2, "invalid value for '--steps'"),
    (["policy", "TALKS", "--out", "OUT", "--folds", "1"], 2, "at least 2 and at most 2 folds"),
    (["policy", "TALKS", "--out", "OUT", "--folds", "3"], 2, "at least 2 and at most 2 folds"),
    (["policy", "LONE", "--out", "OUT"], 2, "to put conversations aside takes at least 2"),
    (["policy", "MISSING", "--out", "OUT"], 1, "no data set at "),
    (["policy", "BROKEN", "--out", "OUT"], 1, "not valid JSON"),
    (["policy", "TALKS", "--out", "OUT", "--start", "MISSING"], 1, "no policy "),
    (["policy", "TALKS", "--out", "OUT", "--start", "BROKEN"], 1, "is no policy: "),
    (["policy", "TALKS", "--out", "MISSING/mine.json"], 1, "its folder is missing or read-only"),
    (["policy", "TALKS", "--out", "TALKS"], 1, "it is a folder"),
    (["policy", "--from-feedback", "--out", "OUT"], 1, "there is no memory at "),
]


@pytest.mark.parametrize(("command", "code", "message"), WRONG, ids=lambda x: str(x)[:60])
def test_a_wrong_training_is_one_line_and_nothing_is_written(
    cli, talks, conversation, write_file, tmp_path, out, database, command, code, message
):
    paths = {
        "TALKS": talks,
        "LONE": conversation,
        "BROKEN": write_file("broken.json", '{"id": "a", "turns": ['),
        "MISSING": tmp_path / "missing",
        "MISSING/mine.json": tmp_path / "missing" / "mine.json",
        "OUT": out,
    }
    before = sorted(tmp_path.rglob("*"))
    answer = cli("train", *(str(paths.get(part, part)) for part in command))
    assert message in told(answer, code)
    assert sorted(tmp_path.rglob("*")) == before
    assert not database.exists()


def test_an_older_policy_stays_where_training_fails(cli, talks, out):
    out.write_text("precious", encoding="utf-8")
    told(cli("train", "policy", talks, "--out", out, "--folds", "9"), 2)
    assert out.read_text(encoding="utf-8") == "precious"


def policy_text(**changes):
    content = {
        "format": "memsieve-policy", "schema": 1, "name": "x", "kind": "linear",
        "weights": {"words": 1.0},
    }  # fmt: skip
    return json.dumps({**content, **changes})


MALFORMED = {
    "no JSON": ("{", "is no policy: "),
    "a list": ("[]", "it does not say 'format': 'memsieve-policy'"),
    "no format": ('{"weights": {"words": 1}}', "it does not say 'format'"),
    "a later schema": (policy_text(schema=2), "it has the schema 2, this memsieve reads 1"),
    "no weights": (policy_text(weights={}), "must name at least one feature"),
    "a strange feature": (policy_text(weights={"smell": 1}), "no feature is called 'smell'"),
    "infinity": (policy_text(weights={"words": float("inf")}), "it holds Infinity"),
    "a word": (policy_text(weights={"words": "much"}), "must hold numbers"),
    "a strange kind": (policy_text(kind="tree"), "its kind must be linear or mlp, got 'tree'"),
    "no hidden layer": (policy_text(kind="mlp"), "lacks 'hidden'"),
    "no UTF-8": (b'{"name": "\xff"}', "not UTF-8"),
}


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.parametrize("command", ["bench", "recall"])
def test_a_malformed_policy_is_one_line(
    cli, memory, conversation, write_file, tmp_path, command, what
):
    content, message = MALFORMED[what]
    policy = write_file("bad.json", content)
    rest = {
        "bench": (conversation, "--json", tmp_path / "figures.json", "--system", "memsieve"),
        "recall": ("Where did Ana move?",),
    }[command]
    error = told(cli(command, *rest, "--policy", policy), 1)
    assert message in error
    assert f"{policy} is no policy: " in error
    assert not (tmp_path / "figures.json").exists()


@pytest.mark.parametrize("command", ["bench", "recall"])
def test_a_policy_that_is_not_there_is_one_line_that_names_the_shipped_ones(
    cli, memory, conversation, tmp_path, command
):
    what = conversation if command == "bench" else "Where did Ana move?"
    for given in ("nonesuch", tmp_path):
        error = told(cli(command, what, "--policy", given), 1)
        assert f"no policy {str(given)!r}: name one of default, " in error


def test_bench_measures_several_policies_side_by_side(good, conversation, write_file):
    mine = write_file("mine.json", policy_text(name="mine"))
    report = good(
        "bench", conversation, "--policy", "equal", "--policy", mine, "--system", "memsieve",
        "--json", "-",
    ).json  # fmt: skip
    assert [one["system"] for one in report["systems"]] == ["memsieve:equal", "memsieve:mine"]


def test_feedback_goes_round_from_recall_to_training(good, cli, talk, out, sql):
    found = good("recall", "Where did Ana move?", "--track", "--json").json
    lines = good("feedback", found["id"], "--used", found["hits"][0]["id"]).lines
    assert len(lines) == 1
    assert lines[0].startswith("kept; 1 recalls of ")
    answer = good("feedback", found["id"], "--used", talk[0], "--used", talk[1], "--json").json
    assert answer == {"recall": found["id"], "judged": 1}
    assert sql("SELECT count(*) FROM recall_item WHERE used") == [(2,)]
    again = good("recall", "Who bakes?", "--track", "--json").json
    assert good("feedback", again["id"], "--reward", "-0.5", "--json").json["judged"] == 2
    assert sql("SELECT reward FROM recall ORDER BY at") == [(None,), (-0.5,)]
    error = told(cli("train", "policy", "--from-feedback", "--out", out), 2)
    assert "1 recalls say which items were used, training takes 20: give more feedback" in error
    assert not out.exists()
    assert good("check").code == 0


def test_a_policy_learned_from_use_is_adopted_where_it_wins(good, used, out):
    used(30)
    lines = good(
        "train", "policy", "--from-feedback", "--adopt", "--out", out, *QUICK[:4],
        "--start", "equal",
    ).lines  # fmt: skip
    assert lines[0].startswith("NDCG@10 on 30 recalls put aside: +0.")
    assert lines[1].startswith("adopted: ")
    assert lines[2] == f"wrote {out}"
    assert load(out).measured["feedback"]["recalls"] == 30
    assert good("stats", "--json").json["policy"] == "feedback"
    hits = good("recall", "What of the piano?", "--json").json["hits"]
    assert "340" in hits[0]["text"]


def test_a_policy_that_does_not_win_is_not_adopted(good, used, out):
    used(20, chooses=lambda found: found[0])
    before = good("stats", "--json").json["policy"]
    lines = good("train", "policy", "--from-feedback", "--adopt", *QUICK[:4]).lines
    assert lines[1] == f"not adopted: {before} stays, the interval does not lie above zero"
    found = good("train", "policy", "--from-feedback", "--out", out, *QUICK[:4], "--json").json
    assert (found["recalls"], found["in_use"], found["wins"]) == (20, before, False)
    assert (found["adopted"], found["policy"]) == (False, str(out))
    assert found["interval"][0] <= found["ndcg10_difference"] <= found["interval"][1]
    assert out.exists()
    assert good("stats", "--json").json["policy"] == before


def test_training_from_feedback_keeps_to_the_namespace_that_is_named(cli, used, out):
    used(20)
    command = ("train", "policy", "--from-feedback", "--out", out, *QUICK[:4])
    assert "no namespace is called 'bank'" in told(cli(*command, "--namespace", "bank"), 1)
    assert cli(*command, "--namespace", "default").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["RECALL"], 2, "feedback needs the ids of used items, a reward, or both"),
        (["RECALL", "--used", "nothing"], 2, "did not weigh the item 'nothing'"),
        (["RECALL", "--reward", "7"], 2, "reward must be a number from -1 to 1, got 7.0"),
        (["RECALL", "--reward", "nan"], 2, "reward must be a number from -1 to 1, got nan"),
        (["RECALL", "--reward", "good"], 2, "invalid value for '--reward'"),
        (["unknown", "--reward", "1"], 1, "no recall 'unknown' is known"),
        ([], 2, "missing argument 'RECALL'"),
    ],
)
def test_wrong_feedback_is_one_line_and_nothing_is_kept(cli, memory, sql, arguments, code, message):
    given = [memory if part == "RECALL" else part for part in arguments]
    assert message in told(cli("feedback", *given), code)
    assert sql("SELECT count(*) FROM recall WHERE judged_at IS NOT NULL") == [(0,)]


def test_a_recall_without_track_is_unknown_to_the_next_run(good, cli, talk, database):
    recall = good("recall", "Where did Ana move?", "--json").json["id"]
    error = told(cli("feedback", recall, "--reward", "1"), 1)
    assert "recall with track=True" in error
    shutil.rmtree(database.parent)
    assert "there is no memory at " in told(cli("feedback", recall, "--reward", "1"), 1)
    assert not database.exists()


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("train", "memsieve train policy conversations/ --out mine.json"),
        ("feedback", "memsieve feedback 01a218bb-9961-7000-a188-921f987fabb2 --used"),
    ],
)
def test_help_shows_an_example_that_can_be_copied(good, command, example):
    shown = good(command, "--help", db=None, COLUMNS="120").out
    assert f"Example: {example}" in " ".join(shown.split())


def test_a_tracked_recall_says_how_it_is_judged(good, talk):
    lines = good("recall", "Where did Ana move?", "--track").lines
    (told,) = [line for line in lines if line.startswith("kept: ")]
    recall_id = told.split()[3]
    assert good("feedback", recall_id, "--used", talk[0]).lines[0].startswith("kept; 1 recalls of")
    assert not [line for line in good("recall", "Lisbon").lines if line.startswith("kept: ")]


def test_stats_name_the_policy(good, talk):
    assert "policy default" in good("stats").out
