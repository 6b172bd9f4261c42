"""The shipped model and its runtime: equal to model2vec's, whole, and good at its task."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.embed import Static, WordPiece, unpack
from memsieve.embed.static import SHIPPED, fingerprint
from memsieve.errors import FormatError, NotFoundError

SENTENCES = [
    "Ana: I moved to Lisbon last spring.",
    "Where does Ana live, and since when?",
    "Naïve café, Ångström & straße (7:30pm) — don't be late!!!",
    "a",
    "a longer story about the lighthouse keeper and his seven cats " * 40,
    "北京 zzzzqqqqxxxx 🙂",
]


def write_model(folder, codes, scales, tokens, name="tiny"):
    """A model folder as tools/distill_static.py lays it out, with the codes as they are given."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "codes.npy", codes)
    np.save(folder / "scales.npy", np.asarray(scales, dtype=np.float32))
    (folder / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    card = {"name": name, "sha256": fingerprint(codes, np.asarray(scales), tokens)}
    (folder / "card.json").write_text(json.dumps(card))
    return Static(folder)


def tiny(folder):
    """Two dimensions, three words and the unknown token."""
    codes = np.array([[9, 9], [3, 0], [0, 4], [-3, 0]], dtype=np.int8)
    return write_model(folder, codes, [1, 1, 0.5, 1], ["[UNK]", "north", "east", "south"])


def shipped_in_float32(folder):
    """The shipped weights, dequantised once, as a model of float32 rows with scales of 1."""
    codes, scales = np.load(SHIPPED / "codes.npy"), np.load(SHIPPED / "scales.npy")
    tokens = WordPiece.shipped().vocabulary
    return write_model(folder, unpack(codes, scales), np.ones(len(codes)), tokens)


def test_adds_scaled_rows_and_divides_by_the_length_as_worked_by_hand(tmp_path):
    # north + 2 * east = (3, 0) + 2 * 0.5 * (0, 4) = (3, 4), whose length is 5.
    vectors = tiny(tmp_path).embed(["North east, EAST"])
    assert vectors.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "west", "south north"])
def test_a_text_without_direction_is_all_zeros(tmp_path, text):
    assert tiny(tmp_path).embed([text]).tolist() == [[0, 0]]


def test_unknown_words_change_nothing(tmp_path):
    known, padded = tiny(tmp_path).embed(["north east", "north west east ???"])
    assert known.tolist() == padded.tolist()


def test_no_texts_make_no_rows():
    assert Static().embed([]).shape == (0, 256)


@pytest.mark.torch
def test_equals_the_runtime_of_model2vec_on_the_same_float32_weights(tmp_path):
    model2vec = pytest.importorskip("model2vec", reason="model2vec is the reference")
    tokenizers = pytest.importorskip("tokenizers", reason="model2vec's tokeniser")
    ours = shipped_in_float32(tmp_path)
    ids = {token: number for number, token in enumerate(ours.pieces.vocabulary)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    rows = np.load(tmp_path / "codes.npy")
    theirs = model2vec.StaticModel(rows, tokenizer, normalize=True, max_length=None)
    assert np.abs(ours.embed(SENTENCES) - theirs.encode(SENTENCES)).max() < 1e-6


def test_a_very_long_text_stays_closer_to_exact_sums_than_adding_row_by_row(tmp_path):
    # model2vec averages row by row, whose float32 error grows with the text; a product does not.
    ours = shipped_in_float32(tmp_path)
    rows, ids = np.load(tmp_path / "codes.npy"), ours.pieces.encode("word " * 3_000)
    exact = rows[ids].astype(float).sum(axis=0)
    exact /= np.linalg.norm(exact)
    by_row = rows[ids].mean(axis=0)
    by_row /= np.linalg.norm(by_row)
    error = np.abs(ours.embed(["word " * 3_000])[0] - exact).max()
    assert error < 2e-6
    assert error < np.abs(by_row - exact).max()


def test_int8_arithmetic_equals_the_same_weights_in_float32(tmp_path):
    apart = Static().embed(SENTENCES) - shipped_in_float32(tmp_path).embed(SENTENCES)
    assert np.abs(apart).max() < 1e-6


def test_rounding_to_int8_turned_no_token_noticeably():
    card = json.loads((SHIPPED / "card.json").read_text())
    assert card["int8_worst_token_cosine"] > 0.9995


def test_the_shipped_files_are_those_the_fingerprint_was_taken_of():
    card = json.loads((SHIPPED / "card.json").read_text())
    codes, scales = np.load(SHIPPED / "codes.npy"), np.load(SHIPPED / "scales.npy")
    tokens = WordPiece.shipped().vocabulary
    assert fingerprint(codes, scales, tokens) == card["sha256"]
    assert (codes.dtype, codes.shape) == (np.int8, (card["tokens"], card["dimensions"]))
    assert Static().identity == f"static-minilm-256@{card['sha256'][:12]}"


def test_the_model_ships_with_its_licence_note_and_fits_in_eight_megabytes():
    assert "Apache License 2.0" in (SHIPPED / "NOTICE.txt").read_text()
    assert sum(os.path.getsize(file) for file in SHIPPED.iterdir()) < 8e6


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_rows_have_length_one_or_are_zero_and_do_not_depend_on_their_neighbours(texts):
    together = Static().embed(texts)
    lengths = np.linalg.norm(together, axis=1)
    assert together.dtype == np.float32
    assert ((np.abs(lengths - 1) < 1e-5) | (lengths == 0)).all()
    for text, row in zip(texts, together, strict=True):
        assert (Static().embed([text])[0] == row).all()


def test_leading_dimensions_carry_the_most_variance():
    codes, scales = np.load(SHIPPED / "codes.npy"), np.load(SHIPPED / "scales.npy")
    variance = unpack(codes, scales).var(axis=0)
    share = np.cumsum(variance) / variance.sum()
    assert (share[[31, 63, 127]] > [0.33, 0.57, 0.8]).all()
    assert np.corrcoef(variance, -np.arange(256))[0, 1] > 0.8


def test_finds_paraphrases_that_share_no_content_word():
    turns = [
        "My sister got married in June.",
        "We adopted a puppy from the shelter.",
        "The doctor prescribed pills for my headaches.",
        "I quit my job at the bank.",
        "Our flight to Spain was cancelled.",
        "He plays the violin in an orchestra.",
        "The car broke down on the highway.",
        "She cooks pasta every Sunday.",
    ]
    questions = [
        "When was the wedding?",
        "Which dog do they own?",
        "What medicine helps against migraine?",
        "Why did he leave his career in finance?",
        "What went wrong with the airplane trip?",
        "Which musical instrument does he practise?",
        "What happened to the vehicle while driving?",
        "Which Italian food does she prepare on weekends?",
    ]
    ranked = Static().embed(questions) @ Static().embed(turns).T
    assert (ranked.argmax(axis=1) == np.arange(len(turns))).sum() >= 7


def test_instances_share_the_loaded_weights_and_are_equal():
    assert Static() == Static()
    assert Static().pieces is Static().pieces is WordPiece.shipped()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"found no whole model in .*nowhere"):
        Static(tmp_path / "nowhere").embed(["a"])


def test_files_that_do_not_fit_together_are_refused(tmp_path):
    tiny(tmp_path)
    np.save(tmp_path / "scales.npy", np.ones(3, dtype=np.float32))
    with pytest.raises(FormatError, match=r"got \(4, 2\), \(3,\) and 4 in"):
        Static(tmp_path).embed(["a"])


@pytest.mark.parametrize("file", ["codes.npy", "card.json"])
def test_a_file_that_was_cut_short_is_refused(tmp_path, file):
    tiny(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-6])
    with pytest.raises(FormatError, match="cannot read the model in"):
        Static(tmp_path).embed(["a"])


def test_a_vocabulary_without_the_unknown_token_is_refused(tmp_path):
    tiny(tmp_path)
    (tmp_path / "vocabulary.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(FormatError, match=r"must hold the token"):
        Static(tmp_path).embed(["a"])
