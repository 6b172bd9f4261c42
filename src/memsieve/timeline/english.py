"""English: the patterns in which the words of time stand, and what they mean."""

from typing import Any

from memsieve.timeline import builders as make
from memsieve.timeline.english_words import (
    AHEAD,
    AMBIGUOUS,
    BACK,
    OPENING_AHEAD,
    PARTICIPLES,
    PHRASES,
    PRESENT_BE,
    SURE_AHEAD,
    WORDS,
)
from memsieve.timeline.recurring import Month, Weekday
from memsieve.timeline.table import CLOCK, DURATION, FREQUENCY, SESSION, TIME, Table, named

_DAY = "(NUM|ORD)"
_TO = "(to|until|dash)"
_YEAR = "(comma? (YEAR|SHORTYEAR))?"
_OF = "(of|in) (the|THIS)?"
_NOT_OF_A_TIME = "(?!of TIME|of MONTH|of SEASON|of LAST|of THIS|of NEXT|of the UNIT)"
_NO_DATE = "(?!of|and|to|until|dash|MONTH|UNIT|WEEKDAY|WEEKEND|DAYPART|DAYPARTS|HALF|CHAT|time)"


def _early(day: int, number: int, name: str) -> Any:
    """ "early this morning": of the morning only the beginning has a name of its own."""
    return make.daypart(day, "early morning" if (number, name) == (0, "morning") else name)


RULES: tuple[tuple[str, str, Any], ...] = (
    # Numbers in words.
    ("TENS dash? ORD", "ORD", lambda tens, n: tens + n),
    ("TENS dash? ONES", "NUM", lambda tens, n: tens + n),
    ("TENS", "NUM", lambda n: n),
    ("ONES", "NUM", lambda n: n),
    ("a? COUPLE of?", "NUM", lambda: 2),
    ("a FEW", "FEW", lambda few: few),
    ("(a|NUM) HUNDRED", "NUM", lambda n=1: 100 * n),
    ("NUM OCLOCK", "TIMEOFDAY", lambda hour: hour * 60 if hour <= 12 else None),
    ("(?<=until|before|after|since|by|at|over) NEWYEAR", "FEAST", lambda feast: feast),
    ("(?<=FEAST and|FEAST to|FEAST dash) NEWYEAR", "FEAST", lambda feast: feast),
    # Days of some month: "on the 5th"; a word ("on the third try") needs more company.
    (f"WEEKDAY comma? the? NTH {_NO_DATE}", TIME, lambda day, n: make.day_of_month(n, day)),
    (f"(from|between)? the NTH (and|{_TO[1:-1]}) the? NTH {_NO_DATE}", TIME,
     lambda a, *w: _month_span(a, *_without_words(w))),
    ("(LAST|THIS|NEXT) UNIT comma? on the NTH", TIME,
     lambda which, unit, n: make.day_in(n, make.relative_unit(which, unit))),
    (f"(?<=on|by|from|before|after|since|until) the NTH {_NO_DATE}", TIME, make.day_of_month),
    (f"(?<=DAYPART of|WEEKEND of|UNIT of) the NTH {_NO_DATE}", TIME, make.day_of_month),
    ("NTH", "ORD", lambda n: n),
    # What comes again and again is no date.
    ("the? (ORD|LAST) (UNIT|WEEKDAY|WEEKEND) (of|in) every UNIT", FREQUENCY, lambda *_: True),
    ("every (OTHER|ORD|NUM)? (UNIT|WEEKDAY|WEEKEND|DAYPART|SEASON|MONTH|FEAST|WEEKENDS|DAYPARTS)"
     " DAYPART?", FREQUENCY, lambda *_: True),
    ("NUM (WEEKDAYS|SEASONS|FEASTS) ago", TIME, make.earlier),
    ("on? WEEKDAYS ((and|comma) WEEKDAYS)*", FREQUENCY, lambda *_: True),
    ("(ONCE|NUM times) (a|every|per) (OTHER|NUM)? UNIT", FREQUENCY, lambda *_: True),
    ("NUM UNIT (a|per) UNIT", FREQUENCY, lambda *_: True),
    ("(on|in|at|the) DAYPARTS", FREQUENCY, lambda *_: True),
    ("on? WEEKDAY DAYPARTS", FREQUENCY, lambda *_: True),
    ("on WEEKENDS", FREQUENCY, lambda *_: True),
    ("SEASONS", FREQUENCY, lambda *_: True),
    ("NUM dash? UNIT dash? OLD", DURATION, lambda *_: True),
    # References to conversations.
    ("(in|during|since)? the? LAST time we TALKED", SESSION, lambda *_: -1),
    ("(in|during|from|since)? (our|the) LAST CHAT", SESSION, lambda *_: -1),
    ("(in|during|from|since)? LAST CHAT", SESSION, lambda *_: -1),
    ("(NUM|a) CHAT ago", SESSION, lambda n=1: -n),
    ("when we ORD TALKED", SESSION, lambda n: "first" if n == 1 else None),
    ("the? ORD time we TALKED", SESSION, lambda n: "first" if n == 1 else None),
    ("(in|during|from)? (our|the) ORD CHAT", SESSION, lambda n: "first" if n == 1 else None),
    ("(in|during)? THIS CHAT", SESSION, lambda *_: 0),
    # Dates.
    ("DATE", TIME, make.node),
    (f"between the? {_DAY} and the? {_DAY} of? MONTH {_YEAR}", TIME, make.dates),
    (f"from? the? {_DAY} {_TO} the? {_DAY} of? MONTH {_YEAR}", TIME,
     lambda a, *w: make.dates(a, *_without_words(w))),
    (f"from? WEEKDAY the? {_DAY} {_TO} WEEKDAY the? {_DAY} of? MONTH {_YEAR}", TIME,
     lambda _, a, *w: make.dates(a, *_without_weekday(w))),
    (f"between MONTH the? {_DAY} and the? {_DAY} {_YEAR}", TIME,
     lambda m, a, b, *y: make.dates(a, b, m, *y)),
    (f"from? MONTH the? {_DAY} {_TO} the? {_DAY} (?!of|MONTH|TIMEOFDAY) {_YEAR}", TIME,
     lambda m, a, *w: _month_days(m, a, *_without_words(w))),
    (f"the? {_DAY} and the? {_DAY} of? MONTH {_YEAR}", TIME,
     lambda a, b, *w: make.dates(a, b, *w) if b == a + 1 else None),
    (f"the? {_DAY} of? MONTH {_YEAR}", TIME, make.date),
    (f"MONTH the? {_DAY} {_YEAR}", TIME, lambda m, d, *y: make.date(d, m, *y)),
    ("MONTH comma? of? (YEAR|SHORTYEAR)", TIME, make.month),
    ("SEASON comma? of? (YEAR|SHORTYEAR)", TIME, make.of_year),
    ("FEAST comma? (in|of)? (YEAR|SHORTYEAR)", TIME, make.of_year),
    ("QUARTER of? YEAR", TIME, make.quarter),
    ("(?<=in|of|by|since|until|before|after|during|from|LAST|THIS|NEXT) QUARTER", TIME,
     make.quarter),
    ("the? ORD UNIT", TIME, make.century),
    ("their (PART dash?)? DECADE", "their", lambda *_: True),  # an age
    ("the? (PART dash?)? DECADE", TIME, make.decade),
    ("(the|PART) (PART dash?)? DECADEWORD", TIME, make.decade),
    ("MONTHDAY", TIME, lambda pair: _month_day(*pair)),
    ("YEAR", TIME, make.year_of),
    ("(?<=in|since|of|until|back) SHORTYEAR", TIME, make.year_of),
    (f"(from|between)? the ORD (and|{_TO[1:-1]}) the? ORD (?!of)", TIME,
     lambda a, *w: _month_span(a, *_without_words(w))),
    ("WEEKDAY comma? (the|on)? TIME", TIME, make.weekday_date),
    ("WEEKDAY comma? the? ORD (?!_)", TIME, lambda weekday, day: make.day_of_month(day, weekday)),
    ("WEEKDAY DAYPART comma? the ORD (?!_)", TIME,
     lambda weekday, part, day: make.daypart(make.day_of_month(day, weekday), part)),
    ("(?<=on the|by the) ORD (?!_|of|UNIT|WEEKDAY|WEEKEND|DAYPART|time)", TIME, make.day_of_month),
    # Units counted from the clock.
    ("the? (UNIT|WEEKEND|WEEKDAY|MONTH|SEASON|FEAST) before LAST", TIME, make.before_last),
    ("the? (UNIT|WEEKEND|WEEKDAY) after NEXT", TIME, make.after_next),
    ("the? (PAST|LAST) (NUM|FEW) DAYPARTS", TIME, lambda _, n, __: make.rolling(n, "day")),
    ("(?<=in|within|over) the? NEXT UNIT", TIME,
     lambda _, u: make.rolling(1, u, True) if u == "hour" else None),
    (f"the? (PAST|LAST) (NUM|FEW) UNIT {_NOT_OF_A_TIME}", TIME,
     lambda _, n, unit: make.rolling(n, unit)),
    ("the? (NEXT|COMING) (NUM|FEW) UNIT", TIME, lambda _, n, unit: make.rolling(n, unit, True)),
    ("(THIS|the) PAST UNIT", TIME, lambda *w: make.rolling(1, w[-1])),
    ("(?<=in|over|during|for) the LAST UNIT (?!of)", TIME,
     lambda which, u: make.rolling(1, u) if which == "last" else make.relative_unit(which, u)),
    ("(?<=in|over|during) the COMING UNIT", TIME, lambda _, u: make.rolling((5, 2), u, True)),
    ("within the? (NEXT|COMING)? (NUM|FEW) UNIT", TIME,
     lambda *w: make.rolling(w[-2], w[-1], True)),
    ("within a UNIT", TIME, lambda unit: make.rolling(1, unit, True)),
    ("WEEKDAY (of|in)? (LAST|THIS|NEXT) UNIT (?!of)", TIME, make.weekday_of),
    ("WEEKDAY in (NUM|a) UNIT", TIME, lambda day, *w: make.weekday_in(day, *_count(w))),
    ("(LAST|THIS|NEXT) UNIT comma? on? WEEKDAY", TIME, lambda w, u, d: make.weekday_of(d, w, u)),
    ("(EARLIER|LATER) (THIS UNIT|REL)", TIME, lambda rest, *w: make.so_far(rest, w[-1])),
    ("(LAST|THIS|NEXT) UNIT in MONTH", TIME, lambda which, unit, month: make.within(
        month, make.relative_unit(which, unit))),
    ("the? (LAST|THIS|NEXT|COMING) UNIT (?!of|in MONTH|before|after)", TIME, make.relative_unit),
    ("(NUM|FEW) WEEKENDS ago", TIME, lambda n, _: make.ago(n, "weekend")),
    ("a WEEKEND ago", TIME, lambda _: make.ago(1, "weekend")),
    ("(NUM|FEW) DAYPARTS ago", TIME, lambda n, name: make.daypart(make.ago(n, "day"), name)),
    ("(NUM|a) UNIT and a HALF (ago|back)", TIME, lambda *w: make.and_a_half(*_count(w))),
    ("for? around? (NUM|FEW) UNIT now", TIME,
     lambda n, unit: make.side("since", make.ago(n, unit))),
    ("for? around? a UNIT now", TIME, lambda unit: make.side("since", make.ago(1, unit))),
    ("NUM and a HALF UNIT (ago|back)", TIME, make.and_a_half),
    ("(HALF a|a HALF) UNIT ago", TIME, lambda unit: make.and_a_half(0, unit)),
    ("around? (NUM|FEW) UNIT (ago|back) ((on|from)? (TIME|REL|WEEKDAY))?", TIME, make.ago),
    ("around? a UNIT (ago|back) ((on|from)? (TIME|REL|WEEKDAY))?", TIME,
     lambda *w: make.ago(1, *w)),
    ("(NUM|FEW) UNIT from now", TIME, make.ahead),
    ("a UNIT from now", TIME, lambda unit: make.ahead(1, unit)),
    ("in around? (NUM|FEW) UNIT (?!of)", TIME, lambda n, u: make.ahead(n, u, sure=False)),
    ("in around? a UNIT (?!of)", TIME, lambda unit: make.ahead(1, unit, sure=False)),
    ("in HALF a UNIT", TIME, lambda unit: make.and_a_half(0, unit, -1)),
    ("for (NUM|a) UNIT from (TIME|REL|WEEKDAY)", TIME, lambda *w: make.lasting(
        w[0] if len(w) == 3 else 1, *w[-2:])),
    ("NUM UNIT from (TIME|REL|WEEKDAY)", TIME, make.counted_from),
    ("a UNIT from (TIME|REL|WEEKDAY)", TIME, lambda u, day: make.counted_from(1, u, day)),
    ("a UNIT on WEEKDAY", TIME, lambda u, day: make.counted_from(1, u, day)),
    ("WEEKDAY UNIT", TIME,
     lambda day, u: make.counted_from(1, u, day) if u == "week" else None),
    ("VAGUE", TIME, make.vague),
    # Parts of days near the clock.
    ("the? DAYPART before LAST", TIME, lambda name, *_: make.daypart(-2, name)),
    ("(at|in the) DAYPART on? REL", TIME, lambda name, day: make.daypart(day, name)),
    ("PART? LAST DAYPART", TIME, lambda *w: make.last_daypart(w[-1])),
    ("PART THIS DAYPART", TIME, lambda n, _, name: _early(0, n, name)),
    ("THIS DAYPART", TIME, lambda _, name: make.daypart(0, name)),
    ("PART? TONIGHT", TIME, lambda *_: make.daypart(0, "night")),
    ("firstthing REL", TIME, lambda day: make.daypart(day, "early morning")),
    ("REL comma? (in the|at)? DAYPART", TIME, make.daypart),
    ("PART on? (REL|WEEKDAY) DAYPART", TIME, lambda n, day, name: _early(day, n, name)),
    ("PART (on|in the)? REL", TIME, lambda n, day: _early(day, n, "morning") if not n else None),
    ("REL", TIME, make.node),
    # Nths, and what "last" picks.
    ("the? ORD of (the|THIS)? (TIME|UNIT)", TIME, lambda n, *w: make.day_in(n, w[-1])),
    (f"the? (ORD|LAST) (UNIT|WEEKDAY|WEEKEND) {_OF} (TIME|MONTH|SEASON|UNIT)", TIME, make.nth),
    (f"the? (ORD|LAST) NUM UNIT {_OF} (TIME|MONTH|SEASON|UNIT)", TIME, make.nths),
    (f"the? ORD HALF {_OF} (TIME|MONTH|SEASON|UNIT)", TIME,
     lambda n, *w: make.part(n - 1, w[-1], 2)),
    (f"the? LATTER HALF {_OF} (TIME|MONTH|SEASON|UNIT)", TIME,
     lambda _, *w: make.part(1, w[-1], 2)),
    ("(the|THIS)? (PAST|COMING) (MONTH|WEEKDAY|SEASON|FEAST|WEEKEND)", TIME,
     lambda *w: make.picked(*w[-2:])),
    ("the? (LAST|THIS|NEXT) (MONTH|WEEKDAY|SEASON|FEAST|WEEKEND|TIME)", TIME, make.picked),
    ("(?<=in|since|until|during|over|by|before|after|from|to|between|and) SEASON", TIME,
     make.again),
    ("(?<=since|until|by|before|after|from) the SEASON", TIME, make.again),
    ("(?<=in the|during the|over the|of the) SEASON", TIME, make.again),
    ("PART dash? (in|in the)? SEASON", TIME, make.part),
    ("(MONTH|SEASON|FEAST|TIME) (of|in)? TIME", TIME, make.within),
    ("TIME POSS (MONTH|SEASON|FEAST)", TIME, lambda year, what: make.within(what, year)),
    ("TIME comma? (in|on|at) the? (MONTH|SEASON|FEAST|TIME)", TIME,
     lambda year, what: make.within(what, year)),
    ("the WEEKEND (?!before|after|of)", TIME, make.again),
    ("MONTH", TIME, make.again),
    ("FEAST", TIME, make.again),
    ("WEEKDAY comma? (in the|at)? DAYPART", TIME, make.daypart),
    ("WEEKDAY (?!before|after)", TIME, make.again),
    ("TIME comma? (in the|at)? DAYPART", TIME, make.daypart),
    ("(in the)? DAYPART (of|on) TIME", TIME, lambda name, day: make.daypart(day, name)),
    # Times of a day.
    (f"TIME comma? from? TIMEOFDAY {_TO} TIMEOFDAY", TIME,
     lambda day, *w: make.clocks(day, *_without_words(w))),
    ("between TIMEOFDAY and TIMEOFDAY on? TIME", TIME, lambda a, b, day: make.clocks(day, a, b)),
    (f"from? TIMEOFDAY {_TO} TIMEOFDAY on? TIME", TIME,
     lambda a, *w: _clocks_on(a, *_without_words(w))),
    (f"from NUM {_TO} NUM on? TIME", TIME, lambda a, *w: make.hours(a, *_without_words(w))),
    ("between NUM and NUM on? TIME", TIME, make.hours),
    (f"TIME comma? from NUM {_TO} NUM (?!_|UNIT)", TIME,
     lambda day, first, *w: make.hours(first, _without_words(w)[-1], day)),
    ("TIME comma? between NUM and NUM (?!_|UNIT)", TIME,
     lambda day, first, last: make.hours(first, last, day)),
    (f"TIME comma? (from|between)? NUM (and|{_TO[1:-1]}) TIMEOFDAY", TIME,
     lambda day, *w: make.hour_to_clock(day, *_without_words(w))),
    ("TIME comma? dash? (at|from)? around? TIMEOFDAY", TIME, make.at_clock),
    ("TIME (at|around) around? NUM (?!_|UNIT)", TIME, make.at_hour),
    ("(at|around) around? NUM on? TIME", TIME, lambda hour, day: make.at_hour(day, hour)),
    ("(at|around)? TIMEOFDAY (comma|on|of)? TIME", TIME, lambda m, day: make.at_clock(day, m)),
    # Parts of longer stretches.
    ("the? (PART|PARTOF) dash? of (the|THIS)? (TIME|SEASON|UNIT)", TIME,
     lambda n, *w: make.part(n, w[-1])),
    ("PART dash? (in|in the)? TIME", TIME, make.part),
    # Beside other times.
    ("the? DAYPART before TIME", TIME,
     lambda name, step, day: make.daypart(make.beside("day", step, day), name)),
    ("around? NUM UNIT (before|after) TIME", TIME, make.shifted),
    ("around? a UNIT (before|after) TIME", TIME, lambda *w: make.shifted(1, *w)),
    ("the? (UNIT|WEEKDAY|WEEKEND) (before|after) TIME", TIME, make.beside),
    ("the? (UNIT|WEEKEND) of TIME", TIME, make.holding),
    ("(?<!the) WEEKDAY", TIME, make.again),
    # Ranges and open stretches.
    ("between TIME and TIME", TIME, make.ranged),
    ("from TIME (to|until|dash) TIME", TIME, lambda *w: make.ranged(*_without_words(w))),
    ("TIME (to|dash) TIME", TIME, make.ranged),
    ("from TIME (onwards|on) (?!TIME)", TIME, lambda when: make.side("from", when)),
    ("(since|until|by) around? TIME", TIME, make.side),
    ("before TIME", TIME, lambda _, when: make.side("before", when)),
    ("after TIME", TIME, lambda _, when: make.side("after", when)),
    # What is left is no date.
    ("(for|in)? around? (NUM|FEW|a|HALF a) dash? UNIT", DURATION, lambda *_: True),
    ("for? NUM and a HALF UNIT", DURATION, lambda *_: True),
    ("all UNIT", DURATION, lambda *_: True),
    ("TIMEOFDAY", CLOCK, lambda minutes: minutes),
)  # fmt: skip


def _without_words(values: tuple[Any, ...]) -> list[Any]:
    """The values without that of "until", which ranges need not know."""
    return [value for value in values if value != "until"]


def _without_weekday(values: tuple[Any, ...]) -> list[Any]:
    """The values of a range's end without its weekday and without that of "until"."""
    return [value for value in _without_words(values) if not isinstance(value, Weekday)]


def _month_days(month: Month, first: int, last: int, *year: int) -> Any:
    return make.dates(first, last, month, *year)


def _month_span(first: int, last: int) -> Any:
    begins, ends = make.day_of_month(first), make.day_of_month(last)
    return begins and ends and make.ranged(begins, ends)


def _month_day(month: int, day: int) -> Any:
    """ "5/8" is the 8th of May, "13/5" the 13th."""
    month, day = (month, day) if month <= 12 else (day, month)
    return make.date(day, Month(month)) if 1 <= month <= 12 else None


def _count(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values if isinstance(values[0], int) else (1, *values)


def _clocks_on(first: int, last: int, day: Any) -> Any:
    return make.clocks(day, first, last)


ENGLISH = Table(
    name="english",
    words=WORDS,
    phrases=PHRASES,
    ambiguous=AMBIGUOUS,
    rules=RULES,
    ahead=AHEAD,
    back=BACK,
    sure_ahead=SURE_AHEAD,
    opening_ahead=OPENING_AHEAD,
    participles=PARTICIPLES,
    present_be=PRESENT_BE,
    back_ending="ed",
    not_followed_by={
        "FEAST": named(
            "tree trees card cards present presents gift gifts lights carol carols movie "
            "movies music song songs story spirit decorations ornaments cookies sweater "
            "jumper island egg eggs bunny costume costumes market"
        ),
        "WEEKDAY": frozenset({"school"}),
        "MONTH": named("road street avenue ave lane drive square court rd"),
        "SEASON": named("job jobs water clothes"),
        "NTH": named(
            "floor street avenue ave place prize try attempt page row round grade hole edition "
            "chapter birthday anniversary person group lap inning game match level line"
        ),
    },
    helper_words=named(
        "ago back since until till til by before after in within from during over now for at"
    ),
    clause_marks=named("comma and"),
    before_year=named(
        "in of since until from to dash before after during by between and the MONTH SEASON PART"
    ),
    between_years=named("to dash"),
    plural_ending="s",
    copulas=named("was is has"),
    decade_endings="['’]?s",
    ordinal_endings="st|nd|rd|th",
    titles=named("st jr dr mr mrs ms"),
    capital_words=named("i i'm i'll i've i'd"),
    sure_company=named("LAST THIS NEXT PAST COMING since until in PART"),
    monthday_after=named("on by until since from before after WEEKDAY to dash"),
    counted=named(
        "people miles km kilometers kilometres meters metres dollars euros pounds bucks steps "
        "calories words feet square kg grams ml vision pieces points followers kcal mph rpm "
        "hp views subscribers lbs"
    ),
    numbered=named(
        "room route flight gate bus suite apartment apt unit no number model deposit rent "
        "price cost salary score turn draft invoice version"
    ),
)
