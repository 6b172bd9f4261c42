"""Ranks worked by hand, against an exact solution, and what a walk does where links end."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.search.pagerank import Graph, pagerank

PATH = Graph.of(3, [[0, 1], [1, 2]])


def random_graph(seed, n=40, m=60):
    """A graph of `n` nodes with about `m` weighted links; some nodes have none."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n, (m, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return Graph.of(n, pairs, rng.uniform(0.1, 2, len(pairs))), rng.random(n)


def solved(graph, reset, damping):
    """The same ranks by solving the linear equations."""
    start = reset / reset.sum()
    step = np.zeros((graph.n_nodes, graph.n_nodes))
    step[graph.target, graph.source] = graph.weight
    out = step.sum(axis=0)
    step = np.where(out > 0, step / np.where(out > 0, out, 1), start[:, None])
    return np.linalg.solve(np.eye(graph.n_nodes) - damping * step, (1 - damping) * start)


@pytest.mark.parametrize(
    ("damping", "ranks"),
    [
        (0.0, [1.0, 0.0, 0.0]),
        (0.1, [0.904545, 0.090909, 0.004545]),
        (0.85, [0.345270, 0.459459, 0.195270]),
    ],
)
def test_the_ranks_of_a_path_of_three(damping, ranks):
    assert pagerank(PATH, np.array([1, 0, 0]), damping) == pytest.approx(ranks, abs=5e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("damping", [0.1, 0.5, 0.85, 0.99])
def test_it_agrees_with_the_exact_solution_and_sums_to_one(seed, damping):
    graph, reset = random_graph(seed)
    ranks = pagerank(graph, reset, damping)
    assert ranks == pytest.approx(solved(graph, reset, damping), abs=1e-9)
    assert ranks.sum() == pytest.approx(1, abs=1e-9)


def test_without_links_ranks_are_the_normalised_reset():
    assert pagerank(Graph.of(3, []), np.array([1.0, 0, 3]), 0.85).tolist() == [0.25, 0, 0.75]


def test_a_node_without_links_gives_its_rank_back_to_where_the_walk_starts():
    graph = Graph.of(3, [[0, 1]])
    ranks = pagerank(graph, np.array([1.0, 0, 1.0]), 0.5)
    assert ranks == pytest.approx(solved(graph, np.array([1.0, 0, 1.0]), 0.5), abs=1e-12)
    assert ranks[2] > ranks[1] > 0


def test_the_scale_of_the_reset_does_not_matter():
    graph, reset = random_graph(0)
    for scale in (1e-300, 1e300):
        assert pagerank(graph, reset * scale) == pytest.approx(pagerank(graph, reset), abs=1e-12)


def test_nodes_outside_a_part_get_no_rank_and_keep_their_numbers():
    part = PATH.within(np.array([True, False, True]))
    assert pagerank(part, np.array([1.0, 0, 0]), 0.85).tolist() == [1, 0, 0]
    assert part.degrees.tolist() == [0, 0, 0]
    assert PATH.degrees.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("links", "weights", "rule"),
    [
        ([[0, 3]], None, "links must be between the nodes 0 to 2"),
        ([[-1, 2]], None, "links must be between"),
        ([[1, 1]], None, "from one node to another"),
        ([[0, 1]], [0.0], "a finite weight above 0"),
        ([[0, 1]], [1.0, 2.0], "a finite weight above 0"),
    ],
)
def test_a_graph_refuses_links_that_are_none(links, weights, rule):
    with pytest.raises(ParameterError, match=rule):
        Graph.of(3, links, weights)


@pytest.mark.parametrize(
    ("reset", "damping", "rule"),
    [
        ([1.0, 0, 0], 1.0, r"damping must be in \[0, 1\), got 1.0"),
        ([1.0, 0, 0], float("nan"), "damping must be"),
        ([0.0, 0, 0], 0.1, "some node more than 0"),
        ([1.0, -1, 0], 0.1, "a finite number >= 0"),
        ([1.0, float("nan"), 0], 0.1, "a finite number >= 0"),
        ([1.0, 0], 0.1, "every node"),
    ],
)
def test_a_walk_refuses_what_it_cannot_start_from(reset, damping, rule):
    with pytest.raises(ParameterError, match=rule):
        pagerank(PATH, np.array(reset), damping)
