"""Words become the terms that people expect to find each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.search.words import STOP_WORDS, fold, term, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did Ana's running friends say?", ["ana", "run", "friend", "say"]),
        ("I didn't, you couldn't", []),
        ("the café in Genève", ["cafe", "genev"]),
        ("e-mail me at ana_k@example.org", ["e", "mail", "ana", "k", "exampl", "org"]),
        ("50,000 on 2026-03-02", ["50", "000", "2026", "03", "02"]),
        ("the fish 🐟🎉", ["fish", "🐟", "🎉"]),
        ("𝕊traße İzmir", ["straße", "izmir"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("猫", ["猫"]),
        ("ABC東京", ["abc", "東京"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("", []),
    ],
)
def test_words_of_a_text(text, expected):
    assert words(text) == expected


def test_forms_of_one_word_share_a_term():
    assert set(terms("paint paints painted painting")) == {term("paint")}


def test_terms_keep_order_and_repeats():
    assert terms("dog cat dog").tolist() == [term("dog"), term("cat"), term("dog")]
    assert terms("dog").dtype == np.uint32


def test_a_term_is_the_same_in_every_process():
    # Worked out apart with hashlib: the first four bytes of blake2b-32 of b"dog", little endian.
    import hashlib

    digest = hashlib.blake2b(b"dog", digest_size=4).digest()
    assert term("dog") == sum(byte << (8 * i) for i, byte in enumerate(digest))


def test_a_very_long_chunk_is_analysed_all_the_same():
    assert terms("x" * 5_000 + "-dog").tolist()[-1] == term("dog")


def test_stop_words_are_stop_words_in_capitals_too():
    assert words(" ".join(word.upper() for word in STOP_WORDS)) == []


@given(st.text())
def test_any_text_has_terms_and_folding_is_stable(text):
    assert len(terms(text)) == len(words(text))
    assert fold(fold(text)) == fold(text)
