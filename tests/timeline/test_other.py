"""Other languages by the dateparser library, and what is said where it is not installed."""

from datetime import UTC, datetime

import pytest
from tests.timeline.conftest import written

from memsieve.errors import ParameterError
from memsieve.timeline import from_spec

# Its own calls are deprecated in newer Pythons; ours are not concerned.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dateparser")
CLOCK = datetime(2023, 5, 10, 13, 56, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _installed(request):
    """Only the tests of a missing library run without it."""
    if "without" not in request.node.name:
        pytest.importorskip("dateparser", reason="needs the extra 'languages'")


def days(language, text):
    """The days that a text names, as the tables write their beginnings."""
    found = from_spec(f"dateparser:{language}").mentions(text, CLOCK)
    assert all(one.interval.days == 1 and one.is_relative for one in found)
    return [written(one.interval.start) for one in found]


SENTENCES = [
    ("fr", "Je suis allée chez le médecin hier.", ["2023-05-09"]),
    ("fr", "Nous avons déménagé le 3 mars 2021.", ["2021-03-03"]),
    ("fr", "Il est parti il y a deux semaines.", ["2023-04-26"]),
    ("fr", "Je n'ai pas le temps.", []),
    ("es", "Ayer fui al mercado.", ["2023-05-09"]),
    ("es", "Nos casamos el 3 de marzo de 2021.", ["2021-03-03"]),
    ("es", "Llegó hace 2 semanas.", ["2023-04-26"]),
    ("es", "No tengo tiempo.", []),
]


@pytest.mark.parametrize(("language", "text", "expected"), SENTENCES)
def test_a_sentence_names_this_day(language, text, expected):
    assert days(language, text) == expected


def test_the_words_of_a_mention_are_those_of_the_text():
    text = "On s'est vus le 3 mars 2021 et le 5 avril 2022."
    found = from_spec("dateparser:fr").mentions(text, CLOCK)
    assert [written(one.interval.start) for one in found] == ["2021-03-03", "2022-04-05"]
    assert all("2021" in text[one.first : one.last] for one in found[:1])
    assert found[0].last <= found[1].first


def test_the_identity_names_the_languages_and_makes_the_reader_again():
    reader = from_spec("dateparser:fr,es")
    assert reader.identity == "dateparser:fr,es"
    assert from_spec(reader.identity) == reader


@pytest.mark.parametrize("spec", ["dateparser:xx", "dateparser:fr,klingon"])
def test_an_unknown_language_is_refused(spec):
    with pytest.raises(ParameterError, match="dateparser: Unknown language"):
        from_spec(spec)


def test_a_reader_without_a_language_is_refused():
    with pytest.raises(ParameterError, match="dateparser:CODES"):
        from_spec("dateparser")


WITHOUT = """
import sys
from datetime import UTC, datetime
sys.modules["dateparser"] = None
from memsieve.errors import MissingExtraError
from memsieve.timeline import from_spec
assert len(from_spec("english").mentions("yesterday", datetime.now(UTC))) == 1
try:
    from_spec("dateparser:fr")
except MissingExtraError as error:
    print(error)
"""


def test_without_the_library_the_extra_is_named_and_english_still_works(elsewhere):
    said = elsewhere(WITHOUT)
    assert "timeline=dateparser:fr" in said
    assert "pip install 'memsieve[languages]'" in said
