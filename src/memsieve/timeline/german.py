"""German: a second table for the same engine, with its own words and its own order of them."""

from typing import Any

from memsieve.timeline import builders as make
from memsieve.timeline.recurring import Feast, Month, Season, Weekday, Weekend
from memsieve.timeline.table import (
    CLOCK,
    DURATION,
    FREQUENCY,
    TIME,
    Table,
    Word,
    listed,
    named,
)

_MONTHS = (
    "januar jan jänner", "februar feb", "märz mrz", "april apr", "mai", "juni jun", "juli jul",
    "august aug", "september sept sep", "oktober okt", "november nov", "dezember dez",
)  # fmt: skip
_WEEKDAYS = (
    "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag sonnabend", "sonntag",
)  # fmt: skip
_NUMBERS = listed("ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")
_ORDINALS = listed("erst zweit dritt viert fünft sechst siebt acht neunt zehnt elft zwölft")
_UNITS = {
    "minute": "minute", "hour": "stunde", "day": "tag tages", "week": "woche",
    "month": "monat monats", "quarter": "quartal quartals", "year": "jahr jahres",
    "decade": "jahrzehnt jahrzehnts", "century": "jahrhundert jahrhunderts",
}  # fmt: skip
_PLURALS = {
    "minute": "minuten", "hour": "stunden", "day": "tage tagen", "week": "wochen",
    "month": "monate monaten", "quarter": "quartale quartalen", "year": "jahre jahren",
    "decade": "jahrzehnte jahrzehnten",
}  # fmt: skip
_DAYPARTS = {
    "morning": "vormittag", "afternoon": "nachmittag", "evening": "abend", "night": "nacht",
    "midday": "mittag",
}  # fmt: skip
_COMPOUNDS = {
    "morgen": "morning", "früh": "morning", "vormittag": "morning", "mittag": "midday",
    "nachmittag": "afternoon", "abend": "evening", "nacht": "night",
}  # fmt: skip
_FEASTS = {
    "christmas": "weihnachten", "christmas eve": "heiligabend", "new year's eve": "silvester",
    "new year": "neujahr", "easter": "ostern ostersonntag", "good friday": "karfreitag",
    "easter monday": "ostermontag", "pentecost": "pfingsten pfingstsonntag",
    "whit monday": "pfingstmontag", "ascension": "himmelfahrt", "st nicholas": "nikolaus",
    "carnival monday": "rosenmontag", "ash wednesday": "aschermittwoch",
    "all saints": "allerheiligen", "epiphany": "dreikönig", "mother": "muttertag",
}  # fmt: skip


def _endings(*stems: str, kind: str, value: Any) -> dict[str, Word]:
    """An adjective in all its cases: letzte, letzten, letzter, letztes, letztem."""
    return {stem + end: (kind, value) for stem in stems for end in ("e", "en", "er", "es", "em")}


WORDS: dict[str, Word] = {
    **{w: ("MONTH", Month(n)) for n, names in enumerate(_MONTHS, 1) for w in names.split()},
    **{w: ("WEEKDAY", Weekday(n)) for n, names in enumerate(_WEEKDAYS)
       for w in names.split()},
    **{names.split()[0] + "s": (FREQUENCY, None) for names in _WEEKDAYS},
    **{w: ("NUM", n) for n, w in enumerate(_NUMBERS, 1)},
    **dict.fromkeys(("eine", "einen", "einem", "einer"), ("NUM", 1)),
    **{k: v for n, stem in enumerate(_ORDINALS, 1)
       for k, v in _endings(stem, kind="ORD", value=n).items()},
    **{w: ("UNIT", unit) for unit, names in _UNITS.items() for w in names.split()},
    **{w: ("UNITS", unit) for unit, names in _PLURALS.items() for w in names.split()},
    **{day + end: ("WEEKDAYPART", (Weekday(n), part)) for n, names in enumerate(_WEEKDAYS)
       for day in names.split() for end, part in _COMPOUNDS.items()},
    **{w: ("DAYPART", part) for part, names in _DAYPARTS.items() for w in names.split()},
    **{w: ("FEAST", Feast(feast)) for feast, names in _FEASTS.items() for w in names.split()},
    "wochenende": ("WEEKEND", Weekend()), "wochenenden": ("WEEKEND", Weekend()),
    "frühling": ("SEASON", Season("spring")), "frühjahr": ("SEASON", Season("spring")),
    "sommer": ("SEASON", Season("summer")), "herbst": ("SEASON", Season("autumn")),
    "winter": ("SEASON", Season("winter")),
    "vorgestern": ("REL", -2), "gestern": ("REL", -1), "heute": ("REL", 0),
    "übermorgen": ("REL", 2), "morgen": ("MORGEN", 1), "früh": ("EARLY", None),
    "mitternacht": ("TIMEOFDAY", 1440),
    **_endings("letzt", "vorig", "vergangen", kind="LAST", value="last"),
    **_endings("dies", kind="THIS", value="this"),
    **_endings("nächst", "kommend", kind="NEXT", value="next"),
    **_endings("vorletzt", kind="BEFORELAST", value=None),
    **_endings("übernächst", kind="AFTERNEXT", value=None),
    **{ten + end: ("DECADEWORD", year) for year, ten in zip(
        range(1920, 2000, 10), listed("zwanziger dreißiger vierziger fünfziger sechziger "
                                      "siebziger achtziger neunziger"), strict=True)
       for end in ("", "n")},
    "anfang": ("PART", 0), "mitte": ("PART", 1), "ende": ("PART", 2), "hälfte": ("HALF", None),
    "täglich": (FREQUENCY, None), "wöchentlich": (FREQUENCY, None),
    "monatlich": (FREQUENCY, None), "jährlich": (FREQUENCY, None),
    "paar": ("FEW", (5, 2)), "einigen": ("FEW", (7, 3)), "mehreren": ("FEW", (7, 3)),
    "vor": ("vor", -1), "nach": ("nach", 1), "seit": ("seit", "since"), "bis": ("bis", None),
    **dict.fromkeys(("genau", "etwa", "ungefähr", "rund", "circa", "fast", "über", "knapp", "gut"),
                    ("around", None)),
    **{w: (w, None) for w in ("zwischen", "und", "von", "vom", "am", "im", "in", "um", "lang",
                              "pro", "uhr", "ab", "zum", "alt")},
    **dict.fromkeys(("der", "die", "das", "dem", "den", "des"), ("the", None)),
    **dict.fromkeys(("jeden", "jede", "jedes", "jeder", "jedem"), ("every", None)),
    **dict.fromkeys(("einmal", "zweimal", "dreimal", "viermal"), ("times", None)),
    ",": ("comma", None), "-": ("dash", None), "–": ("dash", None),
}  # fmt: skip

PHRASES: dict[str, Word] = {
    "tag der deutschen einheit": ("FEAST", Feast("german unity")),
    "tag der arbeit": ("FEAST", Feast("may day")),
    "heilige drei könige": ("FEAST", Feast("epiphany")),
    "erster weihnachtstag": ("FEAST", Feast("christmas")),
    "zweiter weihnachtstag": ("FEAST", Feast("boxing")),
    "ein paar": ("FEW", (5, 2)), "guten morgen": ("_", None),
    "von heute auf morgen": ("_", None), "bis morgen früh": ("MORGEN", 1),
}  # fmt: skip

_FEW = (5, 2)
_FINE = ("hour", "minute")
RULES: tuple[tuple[str, str, Any], ...] = (
    ("(the|in the)? LAST UNITS", TIME, lambda _, unit: make.rolling(_FEW, unit)),
    ("(the|in the)? NEXT UNITS", TIME, lambda _, unit: make.rolling(_FEW, unit, True)),
    ("UNITS", "UNIT", lambda unit: unit),
    ("every (ORD|NUM)? (UNIT|WEEKDAY|WEEKEND|DAYPART|MORGEN|SEASON|MONTH)", FREQUENCY,
     lambda *_: True),
    ("times (pro|im|am|in the) UNIT", FREQUENCY, lambda *_: True),
    ("NUM UNIT alt", DURATION, lambda *_: True),
    # Dates.
    ("DATE", TIME, make.node),
    ("(vom|zwischen the)? (NUM|ORD) (bis|und|dash) (zum|the)? (NUM|ORD) MONTH YEAR?", TIME,
     make.dates),
    ("(am|the)? (NUM|ORD) MONTH YEAR?", TIME, make.date),
    ("MONTH YEAR", TIME, make.month),
    ("SEASON YEAR", TIME, make.of_year),
    ("FEAST YEAR", TIME, make.of_year),
    ("(NUM|ORD) UNIT YEAR", TIME, lambda n, u, y: make.quarter(n, y) if u == "quarter" else None),
    ("the? (NUM|ORD) UNIT", TIME, make.century),
    ("(im|in the) UNIT YEAR", TIME, lambda u, y: make.year_of(y) if u == "year" else None),
    ("YEAR", TIME, make.year_of),
    ("(in the|the) (DECADE|DECADEWORD) UNIT?", TIME, lambda first, *_: make.decade(first)),
    ("MONTHDAY", TIME, lambda pair: make.date(pair[1], Month(pair[0]))),
    ("WEEKDAY comma? (the|am)? TIME", TIME, make.weekday_date),
    # Counted from the clock.
    ("the? (LAST|NEXT) (NUM|FEW) UNIT", TIME,
     lambda which, n, unit: make.rolling(n, unit, which == "next")),
    ("seit around? (NUM|FEW) UNIT", TIME,
     lambda _, n, unit: make.side("since", make.ago(n, unit))),
    ("REL vor (NUM|FEW) UNIT", TIME,
     lambda day, _, n, unit: make.ago(n, unit, day) if unit not in _FINE else None),
    ("vor around? (NUM|FEW) UNIT", TIME, lambda _, n, unit: make.ago(n, unit)),
    ("vor (NUM|FEW) WEEKEND", TIME, lambda _, n, __: make.ago(n, "weekend")),
    ("(REL|MORGEN|WEEKDAY) in NUM UNIT", TIME,
     lambda day, n, unit: make.counted_from(n, unit, day) if unit not in _FINE else None),
    ("in around? (NUM|FEW) UNIT", TIME, lambda n, unit: make.ahead(n, unit, sure=False)),
    ("the? BEFORELAST (UNIT|WEEKDAY|WEEKEND|MONTH|SEASON|FEAST)", TIME, make.before_last),
    ("the? AFTERNEXT (UNIT|WEEKDAY|WEEKEND)", TIME, make.after_next),
    ("WEEKDAY (LAST|THIS|NEXT) UNIT", TIME, make.weekday_of),
    ("(LAST|THIS|NEXT) UNIT WEEKDAY", TIME, lambda w, u, day: make.weekday_of(day, w, u)),
    ("(the|in the)? (LAST|THIS|NEXT) UNIT", TIME, make.relative_unit),
    ("(the|in the)? LAST DAYPART", TIME, lambda _, name: make.last_daypart(name)),
    ("REL (MORGEN|EARLY)", TIME, lambda day, *_: make.daypart(day, "morning")),
    ("MORGEN EARLY", TIME, lambda day: make.daypart(day, "morning")),
    ("(REL|MORGEN) DAYPART", TIME, make.daypart),
    ("THIS MORGEN", TIME, lambda *_: make.daypart(0, "morning")),
    ("am MORGEN", CLOCK, lambda _: True),
    ("am? (LAST|NEXT) MORGEN", CLOCK, lambda *_: True),  # that of a story
    ("(REL|MORGEN)", TIME, make.node),
    # Nths, and what "last" picks.
    ("the? (ORD|LAST) (UNIT|WEEKDAY|WEEKEND) (im|in the|the) (TIME|MONTH|UNIT)", TIME, make.nth),
    ("the? ORD HALF (von|the)? (TIME|MONTH|UNIT)", TIME,
     lambda n, of: make.part(n - 1, of, 2)),
    ("(the|am)? (LAST|THIS|NEXT) (MONTH|WEEKDAY|SEASON|FEAST|WEEKEND|TIME)", TIME, make.picked),
    ("(am|the) WEEKEND (?!vor|nach|vom|von)", TIME, make.again),
    ("(im|the) SEASON", TIME, make.again),
    ("MONTH", TIME, make.again),
    ("FEAST", TIME, make.again),
    ("WEEKDAY (MORGEN|EARLY)", TIME, lambda day, *_: make.daypart(day, "morning")),
    ("WEEKDAY DAYPART", TIME, make.daypart),
    ("(LAST|THIS|NEXT) WEEKDAYPART", TIME,
     lambda which, pair: make.daypart(make.picked(which, pair[0]), pair[1])),
    ("WEEKDAYPART", TIME, lambda pair: make.daypart(*pair)),
    ("am? WEEKDAY", TIME, make.again),
    ("TIME am? DAYPART", TIME, make.daypart),
    # Times of a day.
    ("um? TIMEOFDAY uhr?", "TIMEOFDAY", lambda minutes: minutes),
    ("um? NUM uhr", "TIMEOFDAY", lambda hour: hour * 60 if hour <= 24 else None),
    ("TIME comma? (von|ab)? TIMEOFDAY (bis|dash) TIMEOFDAY", TIME, make.clocks),
    ("TIME comma? von? NUM (bis|dash) TIMEOFDAY", TIME,
     lambda day, hour, last: make.clocks(day, 60 * hour, last)),
    ("TIME comma? TIMEOFDAY", TIME, make.at_clock),
    # Parts of longer stretches, beside other times, ranges.
    ("PART (TIME|the UNIT|THIS UNIT)", TIME, lambda n, *of: make.part(n, of[-1])),
    ("(NUM|the)? UNIT vor the? TIME", TIME, lambda *w: _beside(*w)),
    ("(NUM|the)? UNIT nach the? TIME", TIME, lambda *w: _beside(*w)),
    ("the? (WEEKEND|WEEKDAY) (vor|nach) the? TIME", TIME, make.beside),
    ("the (UNIT|WEEKEND) (vom|von) TIME", TIME, make.holding),
    ("zwischen TIME und TIME", TIME, make.ranged),
    ("(von|vom) TIME (bis|dash) zum? TIME", TIME, make.ranged),
    ("TIME (bis|dash) zum? TIME", TIME, make.ranged),
    ("seit the? TIME", TIME, lambda _, when: make.side("since", when)),
    ("ab the? TIME", TIME, lambda when: make.side("from", when)),
    ("bis zum? TIME", TIME, lambda when: make.side("until", when)),
    ("vor the? TIME", TIME, lambda _, when: make.side("before", when)),
    ("nach the? TIME", TIME, lambda _, when: make.side("after", when)),
    ("around? (NUM|FEW) UNIT lang?", DURATION, lambda *_: True),
    ("TIMEOFDAY", CLOCK, lambda minutes: minutes),
)  # fmt: skip


def _beside(*words: Any) -> Any:
    """ "drei Tage nach Weihnachten", "die Woche vor dem 9. Juni"."""
    *count, unit, step, when = words
    return make.shifted(count[0], unit, step, when) if count else make.beside(unit, step, when)


GERMAN = Table(
    name="german",
    words=WORDS,
    phrases=PHRASES,
    ambiguous={},
    rules=RULES,
    ahead=named(
        "wird werde werden wirst werdet will wollen möchte hoffe plane planen freue vor habe "
        "haben ist sind kommt fahre fahren gehe gehen muss müssen soll sollen bin bist seid geht "
        "gibt kommen komme gilt beginnt startet endet findet fliege fliegen heirate heiraten "
        "treffe treffen kann können willst wollt darf bitte"
    ),
    back=named(
        "war waren hatte hatten ging gingen kam kamen fuhr fuhren gab sah traf trafen machte "
        "machten bekam wurde wurden gegangen gefahren gekommen gesehen getroffen gewesen "
        "gehabt gemacht bekommen gefunden verloren gekauft gezogen"
    ),
    strong_words=frozenset({"jahr", "jahrhundert", "jahrhunderts", "morgen"}).union(
        word for word, (kind, _) in WORDS.items() if kind == "WEEKDAYPART"
    ),
    helper_words=named("vor nach seit bis im am in ab vom von"),
    clause_marks=named("comma und"),
    before_year=named(
        "im in seit vor nach von vom bis ab zwischen und the dash MONTH SEASON FEAST PART UNIT"
    ),
    between_years=named("bis dash"),
    monthday_after=named("am the vom bis zum von seit ab dash WEEKDAY comma"),
    decade_endings="er",
    has_ordinal_stops=True,
)
