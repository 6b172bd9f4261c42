"""Personalised PageRank: how near each node of a graph is to where a walk keeps starting."""

from dataclasses import dataclass, replace

import numpy as np

from memsieve.errors import ParameterError

_TOLERANCE = 1e-12
_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Graph:
    """An undirected graph as arrays: every link stands in both directions.

    source, target: (2 m,) int64; weight: (2 m,) float64, > 0; n_nodes: how many nodes there are,
    those without a link included.
    """

    n_nodes: int
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, n_nodes: int, links: np.ndarray, weights: np.ndarray | None = None) -> "Graph":
        """The graph of `links`, shape (m, 2), each pair once; all weigh 1 if nothing is said.

        Raises
        ------
        ParameterError
            If a link leads outside the graph or from a node to itself, or a weight is not above 0.
        """
        links = np.asarray(links, dtype=np.int64).reshape(-1, 2)
        weight = np.ones(len(links)) if weights is None else np.asarray(weights, dtype=float)
        if links.size and not (links.min() >= 0 and links.max() < n_nodes):
            raise ParameterError(f"Graph: links must be between the nodes 0 to {n_nodes - 1}")
        if (links[:, 0] == links[:, 1]).any():
            raise ParameterError("Graph: a link must lead from one node to another")
        if weight.shape != (len(links),) or not (np.isfinite(weight) & (weight > 0)).all():
            raise ParameterError("Graph: every link must have a finite weight above 0")
        return cls(
            n_nodes,
            np.concatenate([links[:, 0], links[:, 1]]),
            np.concatenate([links[:, 1], links[:, 0]]),
            np.concatenate([weight, weight]),
        )

    @property
    def degrees(self) -> np.ndarray:
        """How many links each node has: shape (n_nodes,)."""
        return np.bincount(self.source, minlength=self.n_nodes)

    def within(self, kept: np.ndarray) -> "Graph":
        """The same nodes with the links between those of `kept`, (n_nodes,) bool, only."""
        inside = kept[self.source] & kept[self.target]
        return replace(
            self,
            source=self.source[inside],
            target=self.target[inside],
            weight=self.weight[inside],
        )


def pagerank(graph: Graph, reset: np.ndarray, damping: float = 0.1) -> np.ndarray:
    """Rank of every node: shape (n_nodes,), sum 1.

    r = (1 - damping) s + damping (P^T r + l s), s = `reset` over its sum, P the step to a
    neighbour in proportion to the weights of the links, l the rank of the nodes without a link,
    whose walk starts again. Iterated until a step moves less than 1e-12 in all; the error is then
    below 1e-12 damping / (1 - damping). Cost: O(links) a step, 12 steps at a damping of 0.1.

    Parameters
    ----------
    reset
        Where the walk starts, (n_nodes,), >= 0 and not all 0.
    damping
        The chance to follow a link rather than start again, in [0, 1).

    Raises
    ------
    ParameterError
        If `damping` or `reset` breaks its rule.

    Examples
    --------
    >>> path = Graph.of(3, [[0, 1], [1, 2]])
    >>> pagerank(path, np.array([1.0, 0.0, 0.0])).round(6).tolist()
    [0.904545, 0.090909, 0.004545]

    References
    ----------
    Haveliwala, Topic-sensitive PageRank, WWW 2002.
    """
    if not 0 <= damping < 1:
        raise ParameterError(f"pagerank: damping must be in [0, 1), got {damping!r}")
    start = np.asarray(reset, dtype=float)
    if start.shape != (graph.n_nodes,) or not (np.isfinite(start) & (start >= 0)).all():
        raise ParameterError("pagerank: reset must give every node a finite number >= 0")
    if not start.any():
        raise ParameterError("pagerank: reset must give some node more than 0")
    # The largest first: the sum of very large or very small numbers must not leave the floats.
    start = start / start.max()
    start /= start.sum()
    out = np.bincount(graph.source, graph.weight, graph.n_nodes)
    share = graph.weight / out[graph.source]
    is_end = out == 0
    ranks = start
    for _ in range(_MOST_STEPS):
        walked = np.bincount(graph.target, share * ranks[graph.source], graph.n_nodes)
        new = (1 - damping) * start + damping * (walked + ranks[is_end].sum() * start)
        moved = float(np.abs(new - ranks).sum())
        ranks = new
        if moved < _TOLERANCE:
            break
    return ranks
