"""English verbs whose past has another stem: questions say "did he bring", texts say "brought"."""

from collections.abc import Mapping

_VERBS = """
    be was were been, become became, begin began begun, bend bent, bite bit bitten, blow
    blew blown, break broke broken, bring brought, build built, burn burnt, buy bought,
    catch caught, choose chose chosen, come came, creep crept, deal dealt, dig dug, do did
    done, draw drew drawn, drink drank drunk, drive drove driven, eat ate eaten, fall fell
    fallen, feed fed, feel felt, fight fought, find found, flee fled, fly flew flown, forget
    forgot forgotten, freeze froze frozen, get got gotten, give gave given, go went gone,
    grow grew grown, hang hung, have had, hear heard, hide hid hidden, hold held, keep kept,
    know knew known, lay laid, lead led, lean leant, learn learnt, leave left, lend lent,
    lie lay lain, light lit, lose lost, make made, mean meant, meet met, pay paid, ride rode
    ridden, ring rang rung, rise rose risen, run ran, say said, see saw seen, seek sought,
    sell sold, send sent, shake shook shaken, shine shone, shoot shot, show shown, sing sang
    sung, sink sank sunk, sit sat, sleep slept, smell smelt, speak spoke spoken, spend
    spent, spill spilt, spin spun, spring sprang sprung, stand stood, steal stole stolen,
    stick stuck, strike struck, swear swore sworn, sweep swept, swim swam swum, swing swung,
    take took taken, teach taught, tear tore torn, tell told, think thought, throw threw
    thrown, understand understood, wake woke woken, wear wore worn, weep wept, win won, wind
    wound, write wrote written
"""
FORMS: Mapping[str, frozenset[str]] = {
    form: frozenset(forms)
    for forms in (verb.split() for verb in _VERBS.split(","))
    for form in forms
}
"""Every form of an irregular verb -> all of its forms."""


def forms(word: str) -> frozenset[str]:
    """A word, and if it is an irregular verb all of its forms: "bringing" is one of "brought"."""
    bare = word.lower().strip(".,;:!?'\"()")
    stems = (bare, bare[:-3], bare[:-3] + "e", bare[:-4]) if bare.endswith("ing") else (bare,)
    return frozenset({bare}).union(*(FORMS.get(stem, frozenset()) for stem in stems))


def with_forms(phrase: str) -> str:
    """A phrase with the other forms of its irregular verbs behind it.

    >>> with_forms("Jonas bring the upright back")
    'Jonas bring the upright back brought'
    """
    spoken = phrase.lower().split()
    more = {form for word in spoken for form in forms(word) if len(forms(word)) > 1}
    return " ".join([phrase, *sorted(more.difference(spoken))])
