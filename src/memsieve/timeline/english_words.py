"""English: the words of time, and which of them look ahead or back."""

from memsieve.timeline.recurring import Feast, Month, Season, Weekday, Weekend
from memsieve.timeline.table import FREQUENCY, Ambiguous, Word, listed, named


def _plain(*words: str, **kinds: str) -> dict[str, Word]:
    """Function words: a class named like the word, or a class with its words; no value."""
    found: dict[str, Word] = {word: (word, None) for word in words}
    for kind, members in kinds.items():
        found.update(dict.fromkeys(members.split(), (kind, None)))
    return found


_MONTHS = {
    "january": 1, "jan": 1, "february": 2, "feb": 2, "mar": 3, "apr": 4, "july": 7, "jul": 7,
    "aug": 8, "september": 9, "sep": 9, "sept": 9, "october": 10, "oct": 10, "november": 11,
    "nov": 11, "december": 12, "dec": 12, "jun": 6,
}  # fmt: skip
_WEEKDAYS = {
    "monday": 0, "tuesday": 1, "tues": 1, "tue": 1, "wednesday": 2, "weds": 2,
    "thursday": 3, "thurs": 3, "thur": 3, "thu": 3, "friday": 4, "fri": 4, "saturday": 5,
    "sunday": 6,
}  # fmt: skip
_ONES = listed(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}
_ORDINALS = listed(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_UNITS = {
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs",
    "day": "day days",
    "week": "week weeks wk wks",
    "fortnight": "fortnight fortnights",
    "month": "month months mo mos mth mths",
    "quarter": "quarter quarters",
    "year": "year years yr yrs",
    "decade": "decade decades",
    "century": "century centuries",
}
_DAYPARTS = {
    "morning": "morning",
    "afternoon": "afternoon arvo",
    "evening": "evening",
    "night": "night nite",
    "midday": "noon midday",
    "lunchtime": "lunchtime",
}
_FEASTS = {
    "christmas": "christmas; xmas; christmas day; xmas day",
    "easter": "easter; easter sunday",
    "thanksgiving": "thanksgiving; thanksgiving day",
    "halloween": "halloween",
    "new year's eve": "nye; new year 's eve; new years eve",
    "juneteenth": "juneteenth",
    "pentecost": "pentecost; whit sunday",
    "new year": "new year 's day; new years day; new year 's; new years",
    "christmas eve": "christmas eve; xmas eve",
    "boxing": "boxing day",
    "valentine": "valentine 's day; valentines day; valentine 's; valentines",
    "good friday": "good friday",
    "easter monday": "easter monday",
    "palm sunday": "palm sunday",
    "ash wednesday": "ash wednesday",
    "mardi gras": "mardi gras; shrove tuesday; pancake day",
    "maundy thursday": "maundy thursday",
    "ascension": "ascension day",
    "whit monday": "whit monday",
    "mother": "mother 's day; mothers day",
    "father": "father 's day; fathers day",
    "independence": "independence day",
    "memorial": "memorial day",
    "labor": "labor day; labour day",
    "columbus": "columbus day",
    "veterans": "veterans day; veteran 's day",
    "presidents": "presidents day; presidents ' day; president 's day",
    "martin luther king": "mlk day; martin luther king day; martin luther king jr day",
    "st patrick": "st patrick 's day; st patricks day; saint patrick 's day; st paddy 's day",
    "april fools": "april fools; april fool 's day; april fools day",
    "earth": "earth day",
    "may day": "may day",
    "cinco de mayo": "cinco de mayo",
    "women": "women 's day; international women 's day",
    "pi": "pi day",
    "groundhog": "groundhog day",
    "canada": "canada day",
    "bastille": "bastille day",
    "guy fawkes": "guy fawkes; guy fawkes night; bonfire night",
    "all saints": "all saints day; all saints ' day",
    "all souls": "all souls day",
    "black friday": "black friday",
    "cyber monday": "cyber monday",
    "st nicholas": "st nicholas day",
}
"""Feast of `wall.FEASTS` -> how people call it, with ";" between."""

WORDS: dict[str, Word] = {
    **{word: ("MONTH", Month(value)) for word, value in _MONTHS.items()},
    **{word: ("WEEKDAY", Weekday(value)) for word, value in _WEEKDAYS.items()},
    **{w + "s": ("WEEKDAYS", Weekday(n)) for w, n in _WEEKDAYS.items() if w.endswith("day")},
    **{word: ("ONES", n) for n, word in enumerate(_ONES, 1)},
    **{word: ("TENS", n) for word, n in _TENS.items()},
    **{word: ("ORD", n) for n, word in enumerate(_ORDINALS, 1)},
    "twentieth": ("ORD", 20), "thirtieth": ("ORD", 30),
    **{word: ("UNIT", name) for name, words in _UNITS.items() for word in words.split()},
    "weekend": ("WEEKEND", Weekend()), "weekends": ("WEEKENDS", Weekend()),
    "wkend": ("WEEKEND", Weekend()),
    "wknd": ("WEEKEND", Weekend()), "wknds": ("WEEKENDS", Weekend()),
    **{word: ("DAYPART", part) for part, words in _DAYPARTS.items() for word in words.split()},
    "mornings": ("DAYPARTS", "morning"), "afternoons": ("DAYPARTS", "afternoon"),
    "evenings": ("DAYPARTS", "evening"), "nights": ("DAYPARTS", "night"),
    "midnight": ("TIMEOFDAY", 1440),
    "summer": ("SEASON", Season("summer")), "winter": ("SEASON", Season("winter")),
    "autumn": ("SEASON", Season("autumn")),
    "summers": ("SEASONS", Season("summer")), "winters": ("SEASONS", Season("winter")),
    "autumns": ("SEASONS", Season("autumn")), "christmases": ("FEASTS", Feast("christmas")),
    "easters": ("FEASTS", Feast("easter")), "weekdays": (FREQUENCY, None),
    "daily": (FREQUENCY, None), "weekly": (FREQUENCY, None), "monthly": (FREQUENCY, None),
    "yearly": (FREQUENCY, None), "annually": (FREQUENCY, None), "nightly": (FREQUENCY, None),
    **{word: ("DECADEWORD", n) for word, n in zip(
        listed("twenties thirties forties fifties sixties seventies eighties nineties"),
        range(1920, 2000, 10), strict=True)},
    **{word: ("REL", n) for n, words in {
        -1: "yesterday yday ystrday", 0: "today", 1: "tomorrow tmrw tomo tmr tomoz"}.items()
        for word in words.split()},
    "tonight": ("TONIGHT", 0), "tonite": ("TONIGHT", 0),
    "last": ("LAST", "last"), "previous": ("LAST", "previous"), "this": ("THIS", "this"),
    "current": ("THIS", "this"), "next": ("NEXT", "next"), "past": ("PAST", "past"),
    "coming": ("COMING", "future"), "upcoming": ("COMING", "future"),
    "early": ("PART", 0), "mid": ("PART", 1), "late": ("PART", 2),
    "beginning": ("PARTOF", 0), "start": ("PARTOF", 0), "middle": ("PARTOF", 1),
    "end": ("PARTOF", 2), "latter": ("LATTER", 2),
    "earlier": ("EARLIER", False), "later": ("LATER", True),
    "couple": ("COUPLE", None), "few": ("FEW", (5, 2)), "several": ("FEW", (7, 3)),
    "ago": ("ago", None), "back": ("back", None),
    "since": ("since", "since"), "until": ("until", "until"), "till": ("until", "until"),
    "til": ("until", "until"), "by": ("by", "by"),
    "before": ("before", -1), "after": ("after", 1),
    "once": ("ONCE", None), "twice": ("ONCE", None), "thrice": ("ONCE", None),
    **{name: ("FEAST", Feast(feast)) for feast, names in _FEASTS.items()
       for name in names.split("; ") if " " not in name},
    **_plain(
        "the", "of", "in", "on", "from", "between", "now", "for", "during", "over",
        "within", "times", "all", "our", "we", "when",
        at="at @", to="to through thru", a="a an", every="every each most", HALF="half",
        OTHER="other", **{"and": "and or"},
        around="around about approximately circa ~ approx", comma=",", dash="- – —", POSS="'s",
        onwards="onwards onward", their="his her my your their", CHAT="chat talk conversation"
        " session call chats talks conversations sessions calls",
        TALKED="talked spoke chatted speak", OCLOCK="o'clock", OLD="old", HUNDRED="hundred",
        SOFT="with instead works work sharp if because but so ok okay thanks though then too",
        per="per", time="time",
    ),
}  # fmt: skip

PHRASES: dict[str, Word] = {
    **{name: ("FEAST", Feast(feast)) for feast, names in _FEASTS.items()
       for name in names.split("; ") if " " in name},
    "the day before yesterday": ("REL", -2), "day before yesterday": ("REL", -2),
    "the day after tomorrow": ("REL", 2), "day after tomorrow": ("REL", 2),
    "early morning": ("DAYPART", "early morning"), "lunch time": ("DAYPART", "lunchtime"),
    "the other day": ("VAGUE", (-7, 0)), "the other night": ("VAGUE", (-7, 0)),
    "the other week": ("VAGUE", (-21, -7)),
    "up until": ("until", "until"), "up to": ("until", "until"),
    "as of": ("since", "from"), "starting from": ("from", None), "starting on": ("from", None),
    "by eod": ("by", "until"), "by cob": ("by", "until"),
    "now and then": ("_", None), "sunday school": ("_", None), "may be": ("_", None),
    "friday night lights": ("_", None), "march on": ("_", None), "second hand": ("_", None),
    "monday blues": ("_", None), "sunday best": ("_", None),
    "day to day": ("_", None), "day by day": ("_", None), "day in day out": ("_", None),
    "day one": ("_", None), "one day": ("_", None), "some day": ("_", None),
    "like yesterday": ("_", None), "like just yesterday": ("_", None),
    "like it was yesterday": ("_", None), "like only yesterday": ("_", None),
    "these days": ("_", None), "the next day": ("_", None), "end of the day": ("_", None),
    "new year": ("NEWYEAR", Feast("new year")),  # "happy new year" is no date
    "first thing": ("firstthing", None), "time last": ("LAST", "last"),
    # A possessive is a token of its own: these are verbs that look ahead.
    **{f"{word} 's": (f"_{word}'s", None) for word in ("let", "he", "she", "it", "that", "there")},
}  # fmt: skip

_AFTER_MONTH = named(
    "in of since until by from between during ORD NTH LAST NEXT PAST COMING PART to dash before "
    "after WEEKDAY every PARTOF around"
)
_BEFORE_MONTH = named("ORD NTH YEAR SHORTYEAR")
_NEAR_DAY = named("NUM ORD NTH MONTH TIMEOFDAY DAYPART")
_AFTER_DAY = named("LAST NEXT PAST COMING on by until since every from dash")
_AFTER_SEASON = named("LAST THIS NEXT PAST COMING in since until PART by of every")
_STOPS = frozenset({"", ";", "comma", "and", "at", "dash", "LAST", "NEXT", "THIS"})
_A_YEAR = frozenset({"YEAR", "SHORTYEAR"})


def _month(number: int, *, is_verb: bool) -> Ambiguous:
    """A month whose name is a verb ("may", "march") or a first name ("April", "June") too."""
    capital = frozenset({"THIS", "and", "the", "to", "comma", "on"})
    if not is_verb:
        after = _AFTER_MONTH | {"NUM", "the", "and", "THIS", "on"}
        return Ambiguous("MONTH", Month(number), after, _BEFORE_MONTH | {"NUM", "dash", "to"})
    after = (_AFTER_MONTH | {"NUM"}) - {"to"}
    near = frozenset({"NUM", "dash", "to", "comma"})
    if number != 5:  # "this may be" is common, "this march" is the month
        after |= {"THIS"}
    return Ambiguous("MONTH", Month(number), after, _BEFORE_MONTH, capital, near)


AMBIGUOUS: dict[str, Ambiguous] = {
    "may": _month(5, is_verb=True), "march": _month(3, is_verb=True),
    "april": _month(4, is_verb=False), "june": _month(6, is_verb=False),
    "august": _month(8, is_verb=False),
    "sat": Ambiguous("WEEKDAY", Weekday(5), _AFTER_DAY, _NEAR_DAY, capital_inside=_STOPS),
    "sun": Ambiguous("WEEKDAY", Weekday(6), _AFTER_DAY, _NEAR_DAY, capital_inside=_STOPS),
    "wed": Ambiguous("WEEKDAY", Weekday(2), _AFTER_DAY, _NEAR_DAY, capital_inside=_STOPS),
    "mon": Ambiguous("WEEKDAY", Weekday(0), _AFTER_DAY | {"THIS"}, _NEAR_DAY | {"dash"},
                     capital_inside=_STOPS),
    "spring": Ambiguous("SEASON", Season("spring"), _AFTER_SEASON | {"the"}, _A_YEAR),
    "fall": Ambiguous("SEASON", Season("autumn"), _AFTER_SEASON | {"the"}, _A_YEAR),
    "am": Ambiguous("DAYPART", "morning", frozenset({"REL", "WEEKDAY"})),
    "eve": Ambiguous("DAYPART", "evening", frozenset({"REL", "WEEKDAY", "THIS"})),
}  # fmt: skip

AHEAD = named(
    """
    will won't i'll we'll you'll he'll she'll it'll they'll there'll gonna going plan plans planning
    planned please pls hope hopes hoping excited wait let's lets shall want wants should must need
    needs looking forward tomorrow soon upcoming due expect expecting intend is are am i'm im we're
    you're they're he's she's it's that's there's have has can can't cannot might could would booked
    scheduled remind reminder starts begins opens expires
    """
)
BACK = named(
    """
    been was were did had went came saw met got made took said told found lost won ran ate drove
    flew wrote read bought brought caught felt fell gave grew heard held kept knew left led sat
    slept spent spoke stood swam thought threw wore began became didn't wasn't weren't couldn't
    haven't hasn't hadn't broke chose drank rode sang sold sent taught woke built hurt quit hit
    """
)
PARTICIPLES = named("done seen gone taken broken chosen drunk written eaten driven given known")
OPENING_AHEAD = named("see cya come bring meet join buy send submit finish pay pick don't")
PRESENT_BE = named(
    "is are am i'm im we're you're they're he's she's it's be being get gets getting"
)
SURE_AHEAD = named(
    "will won't i'll we'll you'll he'll she'll it'll they'll there'll gonna going shall want wants "
    "should must need needs"
)
