"""Policies worked by hand, their files, damaged ones, and memories that go by one."""

import json
import logging
import math

import numpy as np
import pytest

import memsieve
from memsieve.errors import FormatError, NotFoundError, ParameterError
from memsieve.score import EQUAL_VIEWS, NAMES, Features, StandardisedSum
from memsieve.score.features import CLIP
from memsieve.score.policy import DEFAULT, MLP, SCHEMA, Linear, load, parse, shipped

LINEAR = {
    "format": "memsieve-policy",
    "schema": SCHEMA,
    "name": "two words",
    "kind": "linear",
    "weights": {"words": 1.5, "meaning": -0.5},
}
LAYERED = {
    **LINEAR,
    "kind": "mlp",
    "hidden": [[1.0, 0.5], [-2.0, 0.25]],
    "bias": [0.0, 0.75],
    "out": [0.5, -1.0],
}


def of(**columns):
    """Features of which only some columns are not zero."""
    values = np.zeros((len(next(iter(columns.values()))), len(NAMES)))
    for name, column in columns.items():
        values[:, NAMES.index(name)] = column
    return Features(NAMES, values)


def made(content):
    return parse(json.dumps(content), "here")


# Scores


def test_a_linear_score_worked_by_hand():
    scores = made(LINEAR).score(of(words=[1, 2, 3], meaning=[0, 0, 3]))
    z = math.sqrt(1.5)  # words: mean 2, deviation sqrt(2/3)
    low, high = -1 / math.sqrt(2), math.sqrt(2)  # meaning: mean 1, deviation sqrt(2)
    expected = [-1.5 * z - 0.5 * low, -0.5 * low, 1.5 * z - 0.5 * high]
    assert scores.values == pytest.approx(expected)
    assert scores.names == ("words", "meaning")
    assert scores.why(2) == pytest.approx({"words": 1.5 * z, "meaning": -0.5 * high})


def test_an_mlp_score_worked_by_hand():
    scores = made(LAYERED).score(of(words=[1, 3], meaning=[0, 2]))  # z is -1 and 1 in both
    first = 0.5 * math.tanh(1 - 2)
    second = -1.0 * (math.tanh(0.5 + 0.25 + 0.75) - math.tanh(0.75))
    assert scores.values[1] == pytest.approx(1.5 - 0.5 + first + second)
    first = 0.5 * math.tanh(-1 + 2)
    second = -1.0 * (math.tanh(-0.5 - 0.25 + 0.75) - math.tanh(0.75))
    assert scores.values[0] == pytest.approx(-1.5 + 0.5 + first + second)


def random_mlp(rng, d=5, h=4, size=1.0):
    weights = dict(zip(NAMES[:d], rng.normal(size=d).tolist(), strict=True))
    hidden, bias, out = rng.normal(0, size, (d, h)), rng.normal(size=h), rng.normal(size=h)
    return MLP("random", weights, hidden, bias, out)


def formula(policy, z):
    w = np.array(list(policy.weights.values()))
    rise = np.tanh(z @ policy.hidden + policy.bias) - np.tanh(policy.bias)
    return z @ w + rise @ policy.out


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1e-6, 1e-5, 1.0, 50.0])
def test_the_parts_of_an_mlp_add_up_to_its_formula(size):
    """Sizes around 1e-6, below which the slope is taken instead of the quotient, and saturation."""
    rng = np.random.default_rng(0)
    policy, z = random_mlp(rng, size=size), rng.normal(size=(200, 5))
    assert policy.parts(z).sum(axis=1) == pytest.approx(formula(policy, z), rel=1e-9, abs=1e-9)


def test_a_feature_at_its_mean_gives_nothing_and_the_mean_candidate_scores_zero():
    policy = random_mlp(np.random.default_rng(1))
    z = np.array([[0.0, 0, 0, 0, 0], [1, 0, 2, 0, 0]])
    parts = policy.parts(z)
    assert not parts[0].any()
    assert (parts[1] != 0).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("content", [LINEAR, LAYERED], ids=["linear", "mlp"])
def test_values_are_the_sum_of_the_parts_to_the_last_digit(content):
    rng = np.random.default_rng(2)
    scores = made(content).score(Features(NAMES, rng.normal(size=(50, len(NAMES)))))
    assert scores.parts.shape == (50, 2)
    assert np.array_equal(scores.values, scores.parts.sum(axis=1))
    assert sum(scores.why(7).values()) == pytest.approx(scores.values[7])


def test_the_order_of_the_features_is_that_of_the_policy():
    features = of(words=[1, 2, 4], meaning=[1, 0, 1])
    turned = made({**LINEAR, "weights": dict(reversed(LINEAR["weights"].items()))})
    assert turned.features == ("meaning", "words")
    assert turned.score(features).values == pytest.approx(made(LINEAR).score(features).values)


@pytest.mark.parametrize("content", [LINEAR, LAYERED], ids=["linear", "mlp"])
def test_one_odd_candidate_counts_no_more_than_the_cut(content):
    odd = of(words=[1, *[0] * 99])  # 9.9 deviations from the mean
    cut = np.array([[CLIP, 0.0]])
    assert made(content).score(odd).values[0] == pytest.approx(made(content).parts(cut).sum())


@pytest.mark.parametrize("content", [LINEAR, LAYERED], ids=["linear", "mlp"])
def test_no_candidates_and_equal_candidates(content):
    assert made(content).score(of(words=[])).values.shape == (0,)
    assert not made(content).score(of(words=[2, 2])).values.any()


def test_an_mlp_without_hidden_units_is_linear():
    flat = made({**LAYERED, "hidden": [[], []], "bias": [], "out": []})
    features = of(words=[1, 2, 4], meaning=[1, 0, 1])
    assert flat.score(features).values == pytest.approx(made(LINEAR).score(features).values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear("p"), "Linear.weights must name at least one feature"),
        (lambda: Linear("p", {"smell": 1.0}), "Linear.weights: no feature is called 'smell'"),
        (lambda: Linear("p", {"words": math.nan}), "Linear.weights must be finite"),
        (lambda: Linear("p", {"words": -math.inf}), "Linear.weights must be finite"),
        (lambda: Linear("p", {"words": 1e7}), r"at most 1e\+06 in size"),
        (lambda: Linear("p", {"words": True}), "Linear.weights must hold numbers"),
        (lambda: Linear("p", {"words": "1"}), "Linear.weights must hold numbers"),
        (lambda: Linear("p", {"words": 10**400}), "Linear.weights must"),
        (lambda: MLP("p", {"words": 1.0}, [[1.0]], [0.0], []), r"MLP.hidden must have the shape"),
        (lambda: MLP("p", {"words": 1.0}, [[1.0]], [], [1.0]), r"MLP.bias must have the shape"),
        (lambda: MLP("p", {"words": 1.0}, [[math.nan]], [0.0], [1.0]), "MLP.hidden must be finite"),
    ],
)
def test_weights_outside_their_rules_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


# Files


@pytest.mark.parametrize("content", [LINEAR, LAYERED], ids=["linear", "mlp"])
def test_a_file_gives_back_what_was_saved(tmp_path, content):
    about = {
        "trained_on": {"talks": "ours, CC0", "n": 3},
        "recipe": {"seeds": [1, 2]},
        "measured": {"recall": 0.5, "größe": None},
    }
    policy = made({**content, **about})
    policy.save(tmp_path / "p.json")
    again = load(tmp_path / "p.json")
    assert type(again) is type(policy)
    assert again.to_json() == policy.to_json() == {**content, **about}
    assert again == policy
    rng = np.random.default_rng(3)
    features = Features(NAMES, rng.normal(size=(9, len(NAMES))))
    assert np.array_equal(again.score(features).values, policy.score(features).values)


def test_a_file_is_text_of_one_weight_a_line_and_ends_with_a_line(tmp_path):
    path = tmp_path / "p.json"
    made({**LINEAR, "name": "größer"}).save(path)
    text = path.read_text(encoding="utf-8")
    assert '"name": "größer"' in text
    assert '\n  "words": 1.5,\n' in text
    assert text.endswith("}\n")


def test_weights_are_kept_to_five_decimals(tmp_path):
    Linear("third", {"words": 1 / 3}).save(tmp_path / "p.json")
    assert load(tmp_path / "p.json").weights == {"words": 0.33333}


def test_the_name_can_be_changed_alone():
    policy = made(LAYERED)
    other = policy.named("other")
    assert other.to_json() == {**policy.to_json(), "name": "other"}
    assert policy.name == "two words"


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "p.json"
    made(LINEAR).save(path)
    made(LAYERED).save(str(path))
    assert load(path).kind == "mlp"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_a_missing_folder_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        made(LINEAR).save(tmp_path / "nowhere" / "p.json")
    assert list(tmp_path.iterdir()) == []


def test_saving_over_a_folder_leaves_nothing_beside_it(tmp_path):
    folder = tmp_path / "p.json"
    folder.mkdir()
    with pytest.raises(OSError, match=r"p\.json"):
        made(LINEAR).save(folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("figure", [{1, 2}, math.nan, math.inf, {"deep": [math.nan]}])
def test_what_could_not_be_loaded_is_not_saved(tmp_path, figure):
    path = tmp_path / "p.json"
    made(LINEAR).save(path)
    with pytest.raises((TypeError, ValueError)):
        Linear("p", {"words": 1.0}, measured={"loss": figure}).save(path)
    assert load(path).name == "two words"
    assert list(tmp_path.iterdir()) == [path]


def without(name):
    return {key: value for key, value in LAYERED.items() if key != name}


DAMAGED = {
    "nothing": "",
    "no JSON": "words = 1.5",
    "cut off": json.dumps(LINEAR)[:-5],
    "an array": json.dumps([LINEAR]),
    "a number": "5",
    "null": "null",
    "another format": {**LINEAR, "format": "other"},
    "a newer schema": {**LINEAR, "schema": SCHEMA + 1},
    "a schema in words": {**LINEAR, "schema": "1"},
    "a schema that is true": {**LINEAR, "schema": True},
    "another kind": {**LINEAR, "kind": "tree"},
    "a kind that is a list": {**LINEAR, "kind": ["linear"]},
    "no name": without("name"),
    "a name that is none": {**LINEAR, "name": None},
    "a name of two lines": {**LINEAR, "name": "two\nwords"},
    "no format": without("format"),
    "no schema": without("schema"),
    "no kind": without("kind"),
    "no weights": without("weights"),
    "no hidden layer": without("hidden"),
    "no bias": without("bias"),
    "no out": without("out"),
    "NaN": json.dumps({**LINEAR, "weights": {"words": math.nan}}),
    "Infinity": json.dumps({**LINEAR, "weights": {"words": math.inf}}),
    "-Infinity": json.dumps({**LAYERED, "bias": [0.0, -math.inf]}),
    "1e400": json.dumps(LINEAR).replace("1.5", "1e400"),
    "1e400 in the hidden layer": json.dumps(LAYERED).replace("0.25", "-1e400"),
    "four hundred digits": {**LINEAR, "weights": {"words": 10**400}},
    "five thousand digits": json.dumps(LINEAR).replace("1.5", "1" * 5000),
    "four hundred digits of bias": {**LAYERED, "bias": [0.0, 10**400]},
    "a large weight": {**LINEAR, "weights": {"words": 1e7}},
    "a weight in words": {**LINEAR, "weights": {"words": "1.5"}},
    "a weight that is true": {**LINEAR, "weights": {"words": True}},
    "a weight that is null": {**LINEAR, "weights": {"words": None}},
    "a weight that is a list": {**LINEAR, "weights": {"words": [1.5]}},
    "an unknown feature": {**LINEAR, "weights": {"words": 1.0, "smell": 2.0}},
    "empty weights": {**LINEAR, "weights": {}},
    "weights that are null": {**LINEAR, "weights": None},
    "weights that are a list": {**LINEAR, "weights": [1.5, -0.5]},
    "weights that are text": {**LINEAR, "weights": "words"},
    "weights that are pairs": {**LINEAR, "weights": [["words", 1.5]]},
    "a hidden row too few": {**LAYERED, "hidden": [[1.0, 0.5]]},
    "a hidden unit too many": {**LAYERED, "hidden": [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0]]},
    "a flat hidden layer": {**LAYERED, "hidden": [1.0, 0.5, -2.0, 0.25]},
    "ragged rows": {**LAYERED, "hidden": [[1.0, 0.5], [-2.0]]},
    "a bias too many": {**LAYERED, "bias": [0.0, 0.75, 1.0]},
    "an out that is a number": {**LAYERED, "out": 0.5},
    "text in the hidden layer": {**LAYERED, "hidden": [[1.0, "0.5"], [-2.0, 0.25]]},
    "null in the hidden layer": {**LAYERED, "hidden": [[1.0, None], [-2.0, 0.25]]},
    "true in the hidden layer": {**LAYERED, "hidden": [[True, False], [True, True]]},
    "true among numbers": {**LAYERED, "hidden": [[True, 0.5], [-2.0, 0.25]]},
    "a deep hidden layer": json.dumps(LAYERED).replace("0.25", "[" * 200 + "]" * 200),
    "a deep weight": json.dumps(LINEAR).replace("1.5", "[" * 500 + "]" * 500),
    "nested without end": "[" * 200_000,
    "objects without end": '{"a":' * 200_000,
    "training data in words": {**LINEAR, "trained_on": "talks"},
    "a recipe that is a number": {**LINEAR, "recipe": 5},
    "figures in a list": {**LINEAR, "measured": [0.5]},
    "bytes": b"\x00\xff\xfe\x80" * 9,
    "another encoding": json.dumps(LINEAR).encode("utf-16"),
    "latin-1": '{"name": "größer"}'.encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(LINEAR).encode(),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_malformed_file_gets_one_line_that_names_it(write_file, case):
    given = DAMAGED[case]
    path = write_file("bent.json", given if isinstance(given, str | bytes) else json.dumps(given))
    with pytest.raises(FormatError) as error:
        load(path)
    line = str(error.value)
    assert line.startswith(f"{path} is no policy: ")
    assert len(line.splitlines()) == 1
    assert len(line) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("another format", "it does not say 'format': 'memsieve-policy'"),
        ("a newer schema", "it has the schema 2, this memsieve reads 1"),
        ("another kind", "its kind must be linear or mlp, got 'tree'"),
        ("no bias", "lacks 'bias'"),
        ("NaN", "it holds NaN, a weight must be finite"),
        ("1e400", "must be finite"),
        ("an unknown feature", "no feature is called 'smell'"),
        ("empty weights", "must name at least one feature"),
        ("a weight in words", "must hold numbers"),
        ("a hidden row too few", r"MLP.hidden must have the shape \(2, 2\), got \(1, 2\)"),
    ],
)
def test_the_line_says_what_is_wrong_and_the_way_out(write_file, case, reason):
    given = DAMAGED[case]
    path = write_file("bent.json", given if isinstance(given, str) else json.dumps(given))
    with pytest.raises(FormatError, match=f"{reason}.*'memsieve train policy'"):
        load(path)


@pytest.mark.parametrize(
    "name",
    ["missing.json", "no/such/folder.json", "", "a\x00b", "x" * 5000],
    ids=["a file", "a folder", "nothing", "a null byte", "a long name"],
)
def test_what_is_not_there_gets_one_line_that_names_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError) as error:
        load(name)
    assert str(error.value).startswith(f"no policy {name!r}: name one of default, equal")
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_is_no_policy(tmp_path):
    with pytest.raises(NotFoundError, match=r"no policy '.*': name one of .* \(Is a directory\)"):
        load(tmp_path)


# Shipped policies


def test_every_shipped_policy_loads_under_its_own_name():
    assert {DEFAULT, "equal"} <= set(shipped())
    for name in shipped():
        policy = load(name)
        assert policy.name == name
        assert np.isfinite(policy.score(of(words=[1, 2, 3])).values).all()


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"equal"}))
def test_a_shipped_policy_says_what_it_was_trained_on(name):
    assert load(name).trained_on


def test_equal_is_the_plain_sum_of_the_views_cut_at_the_same_deviation():
    assert load("equal").weights == dict(EQUAL_VIEWS)
    features = of(words_near=[1, 2, 4], meaning=[1, 0, 1], speaker=[0, 0.5, 1])
    assert load("equal").score(features).values == pytest.approx(
        StandardisedSum().score(features).values
    )


# Memories that go by a policy

SHORT = Linear("short first", {"length": -1.0})
LONG = Linear("long first", {"length": 1.0})
TEXTS = ["a dog", "a dog and a cat", "a dog, a cat, a cow and a hen"]


def order(memory):
    """Which texts are recalled, in their order."""
    return [TEXTS.index(hit.text) for hit in memory.recall("dog")]


@pytest.fixture
def filled(opened):
    memory = opened(policy="equal")
    memory.add(TEXTS)
    memory.close()
    return opened


def test_a_policy_is_named_given_as_a_file_or_as_an_object(filled, tmp_path):
    SHORT.save(tmp_path / "short.json")
    LONG.save(tmp_path / "long.json")
    for given, name, expected in [
        (SHORT, "short first", [0, 1, 2]),
        (LONG, "long first", [2, 1, 0]),
        (tmp_path / "short.json", "short first", [0, 1, 2]),
        (str(tmp_path / "long.json"), "long first", [2, 1, 0]),
    ]:
        memory = filled(policy=given)
        assert (memory.policy, memory.stats()["policy"]) == (name, name)
        assert order(memory) == expected
    assert filled(policy="equal").policy == "equal"
    assert filled().policy == DEFAULT


def test_the_reasons_of_a_hit_are_those_of_the_policy(filled):
    for hit in filled(policy=SHORT).recall("dog"):
        assert set(hit.why) <= {"length"}
        assert sum(hit.why.values()) == pytest.approx(hit.score)


def test_a_scorer_takes_the_place_of_a_policy_but_not_both(filled):
    scorer = StandardisedSum({"length": -1.0})
    memory = filled(scorer=scorer)
    assert memory.scorer is scorer
    assert order(memory) == [0, 1, 2]
    with pytest.raises(ParameterError, match="give a policy or a scorer, not both"):
        filled(policy="equal", scorer=scorer)


@pytest.mark.parametrize(
    ("given", "error"), [("no such policy", NotFoundError), ("bent.json", FormatError)]
)
def test_a_policy_that_cannot_be_had_opens_nothing(opened, database, write_file, given, error):
    path = write_file("bent.json", "{")
    with pytest.raises(error):
        opened(policy=path if given == "bent.json" else given)
    assert not database.exists()


@pytest.mark.parametrize("layered", [False, True], ids=["linear", "mlp"])
def test_a_file_goes_by_the_policy_it_has_adopted(filled, layered):
    first = filled()
    no_layer = (np.zeros((1, 2)), np.zeros(2), np.zeros(2))
    policy = MLP("layered", SHORT.weights, *no_layer) if layered else SHORT
    first.adopt(policy)
    assert (first.policy, order(first)) == (policy.name, [0, 1, 2])
    again = filled()
    assert again.scorer.to_json() == policy.to_json()
    assert order(again) == [0, 1, 2]
    # What a caller names goes before; it is not adopted by that.
    assert order(filled(policy=LONG)) == [2, 1, 0]
    assert order(filled()) == [0, 1, 2]
    again.adopt(LONG)
    assert order(filled()) == [2, 1, 0]
    assert again.check() == []


@pytest.mark.parametrize(
    "case",
    [
        "nothing", "no JSON", "cut off", "an array", "a newer schema", "an unknown feature", "NaN",
        "1e400", "four hundred digits", "ragged rows", "nested without end", "bytes",
    ],
)  # fmt: skip
def test_an_adopted_policy_that_cannot_be_read_is_passed_over_with_a_warning(
    filled, sql, database, caplog, case
):
    given = DAMAGED[case]
    filled().adopt(SHORT)
    held = given if isinstance(given, str | bytes) else json.dumps(given)
    sql("UPDATE meta SET value = ? WHERE key = 'policy'", held)
    with caplog.at_level(logging.WARNING, logger="memsieve.settling"):
        memory = filled()
    assert memory.policy == DEFAULT
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"the policy of {database} is no policy: ")
    assert warning.endswith(": recalls go by the default until another is adopted")
    assert sorted(order(memory)) == [0, 1, 2]
    memory.adopt(SHORT)
    assert order(filled()) == [0, 1, 2]


def test_what_could_not_be_read_again_is_not_adopted(filled):
    memory = filled()
    memory.adopt(SHORT)
    with pytest.raises((TypeError, ValueError)):
        memory.adopt(Linear("p", {"words": 1.0}, measured={"loss": math.nan}))
    assert memory.policy == filled().policy == "short first"


def test_a_memory_that_others_have_open_keeps_its_policy_until_it_is_opened_anew(filled):
    one, other = filled(), filled()
    one.adopt(SHORT)
    assert (one.policy, other.policy) == ("short first", DEFAULT)
    with memsieve.open(one.path) as third:
        assert third.policy == "short first"
