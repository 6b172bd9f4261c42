"""What the plots draw: points, styles, places for the names, and colours that can be seen."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.evaluate.curves import DARK, DASHES, LIGHT, MARKERS, Curve, curves, spread
from memsieve.evaluate.runner import compare


def test_a_curve_is_the_mean_budget_recall_at_each_budget(scripted, dataset, rankings, packs):
    systems = [scripted({}, name="nothing"), scripted(rankings, packs)]
    comparison = compare(systems, dataset, budgets=(250, 1000))
    nothing, found = curves(comparison.reports)
    assert nothing.points == ((250, 0.0), (1000, 0.0))
    assert found.points == ((250, pytest.approx(0.5)), (1000, pytest.approx(2 / 3)))
    assert (nothing.place, found.place) == (0, 1)
    (_, fact) = curves(comparison.reports, "fact")
    assert fact.points == ((250, 0.5), (1000, 0.5))


def test_28_systems_differ_in_colour_marker_or_dash():
    drawn = [Curve(str(place), place, ()) for place in range(28)]
    assert len({(one.colour, one.marker, one.dash) for one in drawn}) == 28
    assert {one.marker for one in drawn} == set(MARKERS)
    assert {one.dash for one in drawn} == set(DASHES)


def test_names_that_do_not_collide_stay_where_they_belong():
    assert spread([0.1, 0.5, 0.9], gap=0.05, low=0, high=1) == [0.1, 0.5, 0.9]


def test_names_that_collide_move_apart_evenly_around_their_mean():
    assert spread([0.5, 0.5, 0.5], gap=0.1, low=0, high=1) == pytest.approx([0.4, 0.5, 0.6])


def test_names_at_the_edge_stay_inside():
    assert spread([1.0, 1.0], gap=0.1, low=0, high=1) == pytest.approx([0.9, 1.0])
    assert spread([0.0, 0.0], gap=0.1, low=0, high=1) == pytest.approx([0.0, 0.1])


def test_no_name_and_one_name():
    assert spread([], gap=0.1, low=0, high=1) == []
    assert spread([0.3], gap=0.1, low=0, high=1) == [0.3]


@given(
    wanted=st.lists(st.floats(0, 1), min_size=2, max_size=12),
    gap=st.floats(0.01, 0.5),
)
def test_names_keep_their_order_their_gap_and_the_bounds(wanted, gap):
    placed = spread(wanted, gap, low=0.0, high=1.0)
    step = min(gap, 1 / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    heights = [placed[i] for i in order]
    assert all(high - low >= step - 1e-8 for low, high in pairwise(heights))
    assert min(placed) >= -1e-8
    assert max(placed) <= 1 + 1e-8


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("colours", "page"), [(LIGHT, "#ffffff"), (DARK, "#16181d")])
def test_every_colour_can_be_read_as_text_on_its_page(colours, page):
    assert {
        colour: round(contrast(colour, page), 2)
        for colour in colours
        if contrast(colour, page) < 4.5
    } == {}
    assert len(set(colours)) == len(LIGHT)
