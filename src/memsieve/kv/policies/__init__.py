"""The policies, one file each: some evict, some retrieve, some do both."""

from memsieve.kv.policies.h2o import H2O
from memsieve.kv.policies.icecache import IceCache
from memsieve.kv.policies.infinigen import InfiniGen, skew_model
from memsieve.kv.policies.keyformer import Keyformer
from memsieve.kv.policies.packforcing import PackForcing
from memsieve.kv.policies.quest import Quest
from memsieve.kv.policies.snap_kv import SnapKV
from memsieve.kv.policies.streaming_llm import StreamingLLM
from memsieve.kv.policies.tova import TOVA
from memsieve.kv.policies.windowkv import WindowKV
from memsieve.kv.policies.zoomr import ZoomR

__all__ = [
    "H2O",
    "TOVA",
    "IceCache",
    "InfiniGen",
    "Keyformer",
    "PackForcing",
    "Quest",
    "SnapKV",
    "StreamingLLM",
    "WindowKV",
    "ZoomR",
    "skew_model",
]
