"""Files into messages: what `memsieve import` and the benchmark read.

Each class is one format, each `read` yields `Message`s with a stable key, nothing is stored.
"""

from memsieve.formats.base import FORMATS, Format, Scan, detect, open_format, read, scan
from memsieve.formats.bfcl import BFCL
from memsieve.formats.chatgpt import ChatGPT
from memsieve.formats.claude import Claude
from memsieve.formats.conversations import Conversations
from memsieve.formats.jsonl import JSONL
from memsieve.formats.locomo import LoCoMo
from memsieve.formats.tau2 import Tau2
from memsieve.formats.when import parse_when

__all__ = [
    "BFCL",
    "FORMATS",
    "JSONL",
    "ChatGPT",
    "Claude",
    "Conversations",
    "Format",
    "LoCoMo",
    "Scan",
    "Tau2",
    "detect",
    "open_format",
    "parse_when",
    "read",
    "scan",
]
