"""The tokeniser against the library it stands in for, and against its own promises."""

import sys
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memsieve.embed import WordPiece
from memsieve.embed.wordpiece import CACHED_CHUNKS
from memsieve.errors import ParameterError

TRICKY = (
    "éÉßİıΣςǅ中国ºﬁ½한글日本語'-_$^`…—«¿"
    "\u3000\u00a0\u2028\u200b\u200d\ufeff\ufffd\x00\x0b\x0c\x1c\x85\u0301\u0345"
)
SENTENCES = [
    "Ana: I moved to Lisbon last spring.",
    "It's 7:30pm -- don't be late!!! (really?)",
    "Naïve café, Ångström, ÆON, straße, İstanbul, ΣΊΣΥΦΟΣ",
    "北京 and 東京 in one line, ひらがな too",
    "antidisestablishmentarianism supercalifragilistic 3.14159e-10",
    "http://example.org/a_very/long?path=1&x=%20#frag",
    "tab\tnew\nline\r\nvertical\x0btab form\x0cfeed unit\x1fseparator next\x85line",
    "x" * 100 + " " + "x" * 101,
    "[CLS] [SEP] [PAD] [MASK] [unused7] ##ing",
    "🙂 👩‍👩‍👧 e\u0301 \u202eright to left\u202c",
]


@cache
def reference():
    """The `tokenizers` library with the shipped vocabulary, set up as BERT-uncased."""
    library = pytest.importorskip("tokenizers", reason="the tokenizers package is the reference")
    shipped = WordPiece.shipped()
    ids = {token: number for number, token in enumerate(shipped.vocabulary)}
    tokenizer = library.Tokenizer(
        library.models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = library.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@cache
def read_differently():
    """Characters that the library's Unicode tables and Python's do not agree on."""
    ours, theirs = WordPiece.shipped().encode, reference()
    letters = [chr(code) for code in range(0x32000) if not 0xD800 <= code < 0xE000]
    blocks = [letters[start : start + 64] for start in range(0, len(letters), 64)]
    suspects = [
        block
        for block in blocks
        if ours(" ".join(f"ab{c}cd" for c in block)) != theirs(" ".join(f"ab{c}cd" for c in block))
    ]
    return {c for block in suspects for c in block if ours(f"ab{c}cd") != theirs(f"ab{c}cd")}


def test_splits_the_example_of_the_bert_paper_into_its_pieces():
    shipped = WordPiece.shipped()
    pieces = [
        shipped.vocabulary[number] for number in shipped.encode("my dog is cute, he likes playing")
    ]
    assert pieces == ["my", "dog", "is", "cute", ",", "he", "likes", "playing"]


def test_takes_the_longest_piece_from_the_left_and_never_goes_back():
    pieces = WordPiece(["[UNK]", "un", "una", "##ffable", "##able", "##ff"])
    assert pieces.encode("Unaffable") == [2, 3]
    assert pieces.encode("unable") == [0]


@pytest.mark.parametrize("word", ["unzzz", "zzz", "una" + "ff" * 60])
def test_makes_one_unknown_token_of_a_word_it_cannot_spell(word):
    pieces = WordPiece(["[UNK]", "un", "una", "##ff"])
    assert pieces.encode(word) == [pieces.unknown_id]
    assert pieces.count(word) == 1


@pytest.mark.parametrize("text", SENTENCES)
def test_equals_the_tokenizers_library_on_difficult_sentences(text):
    assert WordPiece.shipped().encode(text) == reference()(text)


@settings(deadline=None)  # the first example builds the reference
@given(
    st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from(TRICKY + "abc .,")))
)
def test_equals_the_tokenizers_library_on_any_text(text):
    theirs = reference()(text)
    assume(read_differently().isdisjoint(text))
    assert WordPiece.shipped().encode(text) == theirs


def test_differs_from_the_tokenizers_library_only_in_characters_no_token_holds():
    spelled = set("".join(WordPiece.shipped().vocabulary))
    assert len(read_differently()) < 1_500
    assert spelled.isdisjoint(read_differently())


@given(st.lists(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(TRICKY)))))
def test_token_counts_add_up_over_chunks_between_white_space(parts):
    shipped = WordPiece.shipped()
    joined = " ".join(parts)
    assert shipped.encode(joined) == [token for part in parts for token in shipped.encode(part)]
    assert shipped.count(joined) == sum(map(shipped.count, parts))


@given(st.lists(st.text()))
def test_many_texts_come_back_as_one_array_with_their_bounds(texts):
    shipped = WordPiece.shipped()
    flat, offsets = shipped.encode_many(texts)
    assert (flat.dtype, offsets.dtype, len(offsets)) == ("int32", "int64", len(texts) + 1)
    parts = [flat[start:end].tolist() for start, end in pairwise(offsets)]
    assert parts == [shipped.encode(text) for text in texts]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\x00\ufffd"])
def test_finds_no_token_in_text_without_any(text):
    assert WordPiece.shipped().encode(text) == []
    assert WordPiece.shipped().count(text) == 0


def test_reads_a_lone_surrogate_as_nothing_instead_of_failing():
    assert WordPiece.shipped().encode("a\ud800b") == WordPiece.shipped().encode("ab")


def test_memory_stays_bounded_and_answers_stay_right_when_the_cache_overflows():
    pieces = WordPiece(["[UNK]", *"0123456789", *(f"##{digit}" for digit in range(10))])
    before = pieces.encode("123")
    for number in range(CACHED_CHUNKS + 10):
        pieces.encode(str(number))
    assert pieces.encode("123") == before == [2, 13, 14]
    assert len(pieces._cache) <= CACHED_CHUNKS


def test_a_text_without_white_space_leaves_nothing_behind_in_the_cache():
    pieces = WordPiece(["[UNK]", "x", "##x"])
    held = sys.getsizeof(pieces._cache)
    assert pieces.count("x" * 90) == 90
    assert (len(pieces._cache), sys.getsizeof(pieces._cache)) == (0, held)


def test_the_vocabulary_is_loaded_once():
    assert WordPiece.shipped() is WordPiece.shipped()


@pytest.mark.parametrize(
    ("vocabulary", "rule"),
    [(["a"], r"must hold the token '\[UNK\]'"), (["[UNK]", "a", "a"], "once")],
)
def test_refuses_a_vocabulary_it_cannot_use(vocabulary, rule):
    with pytest.raises(ParameterError, match=rule):
        WordPiece(vocabulary)
