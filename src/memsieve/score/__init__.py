"""What a candidate is worth to a question; higher is better everywhere."""

from memsieve.score.features import NAMES, Features, features
from memsieve.score.fusion import EQUAL_VIEWS, EVENT_VIEWS, RankFusion, Scores, StandardisedSum
from memsieve.score.sessions import score_sessions

__all__ = [
    "EQUAL_VIEWS",
    "EVENT_VIEWS",
    "NAMES",
    "Features",
    "RankFusion",
    "Scores",
    "StandardisedSum",
    "features",
    "score_sessions",
]
