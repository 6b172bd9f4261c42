"""Other languages by the dateparser library: an adapter, for texts without a table of ours."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from memsieve.errors import MissingExtraError, ParameterError
from memsieve.types import Interval, Mention

_DAY = timedelta(days=1)
_SHORTEST = 4


@dataclass(frozen=True)
class Dateparser:
    """Dates in the languages that dateparser knows, each as one day.

    It finds dates and simple relative words; it knows no ranges, seasons, parts, feasts, or events
    beside others, gives one reading, and takes some milliseconds for each text.

    Parameters
    ----------
    languages
        Codes such as ("fr",) or ("es", "pt").

    Raises
    ------
    MissingExtraError
        If dateparser is not installed: pip install 'memsieve[languages]'.
    ParameterError
        If a language is unknown to it.
    """

    languages: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            from dateparser.languages.loader import default_loader
        except ImportError as error:
            raise MissingExtraError.of(f"timeline={self.identity}", "languages") from error
        try:
            list(default_loader.get_locales(languages=list(self.languages)))
        except ValueError as error:
            raise ParameterError(f"dateparser: {error}") from error

    @property
    def identity(self) -> str:
        return f"dateparser:{','.join(self.languages)}"

    @cached_property
    def _search(self) -> Any:
        from dateparser.search import search_dates

        return search_dates

    def mentions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> tuple[Mention, ...]:
        """The dates in `text`, a day each; see `timeline.Reader`."""
        settings = {
            "RELATIVE_BASE": clock.replace(tzinfo=None),
            "PREFER_DATES_FROM": "past",
            "RETURN_AS_TIMEZONE_AWARE": False,
        }
        found = self._search(text, languages=list(self.languages), settings=settings) or ()
        mentions, done = [], 0
        for words, moment in found:
            first = text.find(words, done)
            # It takes "Je" for a Thursday: two letters are no date.
            if first < 0 or (len(words) < _SHORTEST and not any(map(str.isdigit, words))):
                continue
            done = first + len(words)
            start = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=clock.tzinfo)
            mentions.append(Mention(first, done, Interval(start, start + _DAY), is_relative=True))
        return tuple(mentions)
