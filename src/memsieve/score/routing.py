"""How much each view of the same memories counts for a question, by how sure the view is.

A view that finds a few memories far better than the others is sure, one that finds all alike knows
nothing. MemGAS measures that by the entropy of its similarities.
"""

import numpy as np

from memsieve.errors import ParameterError

FORMS = ("paper", "normalised", "equal")
"""How entropies become weights; see `view_weights`."""


def entropies(similarities: np.ndarray, temperature: float) -> np.ndarray:
    """Entropy of each view's similarities, in nats: shape (n_views,), each in [0, ln n].

    H = -sum p ln p, p = softmax(similarity / temperature) over the memories of one view. O(size).

    Parameters
    ----------
    similarities
        Shape (n_views, n_memories); higher is nearer. One memory has an entropy of 0.
    temperature
        In the unit of the similarities, > 0.

    Raises
    ------
    ParameterError
        If the temperature is not above 0 or a similarity is not finite.

    Examples
    --------
    >>> entropies(np.array([[0.8, 0.2, 0.2], [0.5, 0.4, 0.3]]), 0.2).round(5).tolist()
    [0.36659, 1.02019]
    """
    if not temperature > 0:
        raise ParameterError(f"entropies: temperature must be > 0, got {temperature!r}")
    if not np.isfinite(similarities).all():
        raise ParameterError("entropies: similarities must be finite")
    if not similarities.shape[1]:
        return np.zeros(similarities.shape[0])
    # ln p = z - ln(sum e^z), so that a probability of 0 gives 0 and not NaN.
    z = (similarities - similarities.max(axis=1, keepdims=True)) / temperature
    mass = np.exp(z)
    total = mass.sum(axis=1, keepdims=True)
    entropy = np.log(total[:, 0]) - (mass * np.where(mass > 0, z, 0.0)).sum(axis=1) / total[:, 0]
    return np.clip(entropy, 0.0, np.log(similarities.shape[1]))


def view_weights(entropy: np.ndarray, n_memories: int, form: str = "normalised") -> np.ndarray:
    """Weight of each view: shape (n_views,), >= 0, sum 1; a lower entropy never weighs less.

    "paper": (1 / H) over the sum of these; views with an entropy of 0 share all of the weight.
    "normalised": 1 - H / ln n over the sum of these, so that a view that knows nothing weighs
    nothing. "equal": all alike. Where no view knows more than another all weigh the same.

    Parameters
    ----------
    entropy
        As `entropies` gives it.
    n_memories
        Over how many memories it was taken.
    form
        One of `FORMS`.

    Raises
    ------
    ParameterError
        If `form` is none of them.

    Examples
    --------
    >>> surer, vaguer = 0.36659, 1.02019
    >>> view_weights(np.array([surer, vaguer]), 3, "paper").round(3).tolist()
    [0.736, 0.264]
    >>> view_weights(np.array([surer, vaguer]), 3, "normalised").round(3).tolist()
    [0.903, 0.097]

    References
    ----------
    MemGAS, arXiv 2505.19549. Differs: the authors' script weighs by 1 - H, which is negative for
    every view once H > 1 and then prefers the vaguest one; that form is not offered.
    """
    if form not in FORMS:
        raise ParameterError(f"view_weights: form must be one of {', '.join(FORMS)}, got {form!r}")
    equal = np.full(entropy.shape, 1 / max(entropy.size, 1))
    if form == "equal" or n_memories < 2:
        return equal
    if form == "normalised":
        known = 1 - entropy / np.log(n_memories)
        # Rounding leaves some 1e-16 where every memory is alike: that is no knowledge.
        known = np.where(known > 1e-12, known, 0.0)
    else:
        sure = entropy <= 1e-12
        known = sure.astype(float) if sure.any() else 1 / entropy
    return known / known.sum() if known.any() else equal
