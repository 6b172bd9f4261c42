"""Texts into unit vectors, and text into tokens.

Every embedder has an `identity` that a store writes down beside its vectors; `from_spec` makes
an embedder from it, or from a short spec such as ``static``. Vectors are float32 rows of
length 1, so the product of two is their cosine: higher is closer.
"""

from memsieve.embed.base import Embedder, NoEmbedder, from_spec, require_identity
from memsieve.embed.openai import OpenAI
from memsieve.embed.quantise import pack, unpack
from memsieve.embed.sentence_transformers import SentenceTransformers
from memsieve.embed.static import Static
from memsieve.embed.transport import Transport
from memsieve.embed.wordpiece import WordPiece

__all__ = [
    "Embedder",
    "NoEmbedder",
    "OpenAI",
    "SentenceTransformers",
    "Static",
    "Transport",
    "WordPiece",
    "from_spec",
    "pack",
    "require_identity",
    "unpack",
]
