"""The scorers under training: a linear one and a small MLP, with their gradients by hand.

They are the same functions as `score.policy`'s, which serve; a test holds the two together.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from memsieve.score.policy import MLP, Linear, Policy


class Net(ABC):
    """A scorer with parameters that a step changes in place."""

    parameters: list[np.ndarray]

    @abstractmethod
    def scores(self, z: np.ndarray) -> np.ndarray:
        """Scores of standardised candidates: (n,) from (n, d)."""

    @abstractmethod
    def gradients(self, z: np.ndarray, d_scores: np.ndarray) -> list[np.ndarray]:
        """Gradients of the parameters from those of the scores (n,), in the same order."""

    @abstractmethod
    def policy(self, name: str, names: Sequence[str]) -> Policy:
        """What was learned, ready to serve; `names` are those of the features."""


class LinearNet(Net):
    """scores = z @ w."""

    def __init__(self, start: np.ndarray) -> None:
        self.parameters = [np.array(start, dtype=np.float64)]

    def scores(self, z: np.ndarray) -> np.ndarray:
        return z @ self.parameters[0]

    def gradients(self, z: np.ndarray, d_scores: np.ndarray) -> list[np.ndarray]:
        return [d_scores @ z]

    def policy(self, name: str, names: Sequence[str]) -> Policy:
        return Linear(name, dict(zip(names, self.parameters[0].tolist(), strict=True)))


class MLPNet(Net):
    """scores = z @ w + (tanh(z @ W + b) - tanh(b)) @ v; W starts small and random.

    b and v start at zero: the first scores are those of `start`.
    """

    def __init__(self, start: np.ndarray, n_hidden: int, rng: np.random.Generator) -> None:
        d = start.size
        self.parameters = [
            np.array(start, dtype=np.float64),
            rng.normal(scale=0.3 / np.sqrt(d), size=(d, n_hidden)),
            np.zeros(n_hidden),
            np.zeros(n_hidden),
        ]

    def scores(self, z: np.ndarray) -> np.ndarray:
        w, hidden, bias, out = self.parameters
        return z @ w + (np.tanh(z @ hidden + bias) - np.tanh(bias)) @ out

    def gradients(self, z: np.ndarray, d_scores: np.ndarray) -> list[np.ndarray]:
        _, hidden, bias, out = self.parameters
        active, resting = np.tanh(z @ hidden + bias), np.tanh(bias)
        back = d_scores[:, None] * out * (1 - active**2)
        d_bias = back.sum(axis=0) - d_scores.sum() * out * (1 - resting**2)
        return [d_scores @ z, z.T @ back, d_bias, d_scores @ (active - resting)]

    def policy(self, name: str, names: Sequence[str]) -> Policy:
        w, hidden, bias, out = (parameter.copy() for parameter in self.parameters)
        return MLP(name, dict(zip(names, w.tolist(), strict=True)), hidden, bias, out)


def joined(nets: Sequence[Net]) -> Net:
    """One net that gives the mean of the scores of several of a kind."""
    if len(nets) == 1:
        return nets[0]
    direct, hidden, bias, out = zip(*(net.parameters for net in nets), strict=True)
    whole = MLPNet(np.mean(direct, axis=0), sum(map(len, bias)), np.random.default_rng(0))
    whole.parameters[1:] = [
        np.concatenate(hidden, axis=1),
        np.concatenate(bias),
        np.concatenate(out) / len(nets),
    ]
    return whole


class Adam:
    """Steps of Adam over a list of parameters.

    References
    ----------
    Kingma and Ba, 2015, arXiv 1412.6980, with its constants.
    """

    def __init__(self, parameters: Sequence[np.ndarray], learning_rate: float) -> None:
        self.learning_rate, self.t = learning_rate, 0
        self.mean = [np.zeros_like(parameter) for parameter in parameters]
        self.square = [np.zeros_like(parameter) for parameter in parameters]

    def step(self, parameters: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> None:
        """Change the parameters in place, against their gradients."""
        self.t += 1
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            self.mean[i] = 0.9 * self.mean[i] + 0.1 * gradient
            self.square[i] = 0.999 * self.square[i] + 0.001 * gradient**2
            mean = self.mean[i] / (1 - 0.9**self.t)
            square = self.square[i] / (1 - 0.999**self.t)
            parameter -= self.learning_rate * mean / (np.sqrt(square) + 1e-8)
