"""Attention over picked tokens agrees with gathering them, on a GPU and under the interpreter."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import starmap
from math import inf, log, nan
from multiprocessing import get_context

import pytest

from memsieve.errors import ParameterError
from memsieve.kv.kernels import attend_at, usable

pytestmark = pytest.mark.torch

WIDE = {"channels": 256, "contents": 256}  # blocks of 16 tokens in float32, of 32 otherwise
SIZES = {
    "shared by two heads": {},
    "an index for each query head": {"own": True},
    "as many query heads as key heads": {"heads": 2},
    "one key head for twenty": {"heads": 20, "kv_heads": 1, "rows": 1},
    "one key head for eighty": {"heads": 80, "kv_heads": 1, "rows": 1},
    "odd numbers of channels": {"channels": 80, "contents": 48},
    "odd numbers of channels, own index": {"channels": 24, "contents": 112, "own": True},
    "few channels": {"channels": 8, "contents": 4},
    "most channels": {**WIDE, "m": 35},
    "one token stored": {"n": 1, "m": 1},
    "one token picked": {"m": 1},
    "one token picked, own index": {"m": 1, "own": True},
    "all tokens": {"n": 45, "m": 45},
    "whole blocks": {"n": 300, "m": 256},
    "three splits": {"n": 400, "m": 263},
    "three splits, own index": {"n": 400, "m": 263, "own": True},
    "splits of several blocks": {**WIDE, "n": 400, "m": 263},
    "splits of several blocks, own index": {**WIDE, "n": 400, "m": 263, "own": True},
    "more splits than merge at once": {**WIDE, "rows": 1, "kv_heads": 1, "n": 700, "m": 555},
    "so many rows that none is split": {**WIDE, "rows": 10, "n": 99, "m": 89},
    "so many rows that none is split, own index": {
        **WIDE,
        "rows": 5,
        "n": 99,
        "m": 89,
        "own": True,
    },
}
DTYPES = ("float32", "float16", "bfloat16")
CLOSE = {"float32": 3e-6, "float16": 2e-3, "bfloat16": 2e-2}
# Powers and quotients of a GPU are off by two units in the last place, which a cap multiplies.
CLOSE_ON_GPU = {**CLOSE, "float32": 3e-5}


@pytest.fixture(scope="module")
def interpreted():
    """Calls a function in a process in which Triton's interpreter is on.

    Triton settles that when it is first imported, which other tests may have done here.
    """
    pytest.importorskip("torch", reason="PyTorch is not installed")
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    if _release("triton") < (3, 7) and _release("numpy") >= (2, 4):
        pytest.skip("the interpreter of Triton 3.6 does not run under NumPy 2.4")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(int).result(timeout=60)  # the process takes the environment of now
        yield lambda call, *args, **options: pool.submit(call, *args, **options).result(timeout=120)


def _release(package):
    try:
        return tuple(int(part) for part in version(package).split(".")[:2])
    except PackageNotFoundError:  # unpacked without its metadata: as good as the newest
        return (99,)


@pytest.fixture
def case(torch):
    """Tensors for `attend_at`, stored as a cache has them: keys and values in larger buffers."""

    def make(
        rows=2,
        heads=4,
        kv_heads=2,
        own=False,
        n=70,
        m=41,
        channels=32,
        contents=32,
        dtype="float32",
        seed=0,
    ):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator).to(getattr(torch, dtype))

        keys, values = (torch.full((rows, kv_heads, n + 9, d), nan) for d in (channels, contents))
        keys, values = keys.to(getattr(torch, dtype)), values.to(getattr(torch, dtype))
        keys[:, :, :n], values[:, :, :n] = (normal(*x[:, :, :n].shape) for x in (keys, values))
        index = torch.rand(rows, heads if own else kv_heads, n, generator=generator).argsort(-1)
        return {
            "query": normal(rows, 1, heads, channels).transpose(1, 2),
            "keys": keys[:, :, :n],
            "values": values[:, :, :n],
            "index": index[..., :m],
            "scale": 2 * channels**-0.5,
        }

    return make


def gathered(query, keys, values, index, *, scale, mask=None, softcap=None):
    """What `attend_at` is to give: the tokens copied out one by one, in float64."""
    import torch

    n_rows, n_heads, _, _ = query.shape
    out = query.new_empty((n_rows, 1, n_heads, values.shape[3]), dtype=torch.float64)
    for row in range(n_rows):
        for head in range(n_heads):
            at = index[row, head * index.shape[1] // n_heads]
            key_head = head * keys.shape[1] // n_heads
            key, value = (x[row, key_head, at].double() for x in (keys, values))
            logits = key @ query[row, head, 0].double() * scale
            if softcap is not None:
                logits = softcap * (logits / softcap).tanh()
            if mask is not None:
                logits = logits + mask.expand(n_rows, n_heads, 1, -1)[row, head, 0].double()
            out[row, 0, head] = logits.softmax(-1) @ value
    return out


def assert_close(out, expected, dtype, close=CLOSE):
    assert out.shape == expected.shape
    assert str(out.dtype) == f"torch.{dtype}"
    assert out.is_contiguous()
    assert (out.double() - expected).abs().max() < close[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_it_agrees_with_attention_over_gathered_tokens(interpreted, case, size, dtype):
    given = case(**SIZES[size], dtype=dtype)
    assert_close(interpreted(attend_at, **given), gathered(**given), dtype)


def test_logits_log_3_apart_weigh_values_3_to_1(interpreted, torch):
    keys = torch.tensor([log(3), 5.0, 0.0])[None, None, :, None] * torch.eye(16)[0]
    values = torch.tensor([8.0, nan, 4.0])[None, None, :, None] * torch.ones(16)
    index = torch.tensor([[[2, 0]]])
    out = interpreted(attend_at, torch.eye(16)[None, None, :1], keys, values, index, scale=1.0)
    assert out.shape == (1, 1, 1, 16)
    assert out.flatten().tolist() == pytest.approx([7.0] * 16)


@pytest.mark.parametrize("own", [False, True])
def test_what_is_not_picked_is_not_read(interpreted, case, torch, own):
    given = case(own=own, kv_heads=1, heads=2, n=50, m=20)
    expected = gathered(**given)
    for row in range(2):
        others = [j for j in range(50) if j not in given["index"][row]]
        given["keys"][row, :, others] = nan
        given["values"][row, :, others] = nan
    assert_close(interpreted(attend_at, **given), expected, "float32")
    given["keys"][0, 0, given["index"][0, 0, 3]] = nan
    out = interpreted(attend_at, **given)
    assert out[0, 0, 0].isnan().all()
    assert not out[1].isnan().any()


def test_a_token_that_is_named_twice_counts_twice(interpreted, case, torch):
    given = case(n=30, m=20)
    doubled = {**given, "index": given["index"].repeat(1, 1, 2)}
    assert_close(interpreted(attend_at, **doubled), gathered(**given), "float32")


def test_an_index_may_have_any_strides(interpreted, case, torch):
    given = case(n=30, m=20, rows=1)
    one = given["index"][:, :1]
    for index in (one.expand(-1, 2, -1), one.expand(-1, 4, -1), torch.arange(30).view(1, 15, 2).mT):
        other = {**given, "index": index}
        assert_close(interpreted(attend_at, **other), gathered(**other), "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("own", [False, True])
def test_a_mask_is_added_to_the_logits(interpreted, case, torch, own, dtype):
    given = case(own=own, n=350, m=300, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    mask = torch.randn(2, 4, 1, 300, generator=generator).to(given["query"].dtype)
    lowest = torch.finfo(mask.dtype).min
    mask[0, :, :, 100:] = lowest  # splits of which nothing is seen
    mask[1, :, :, ::3] = lowest
    mask[1, :, :, 1::3] = -inf
    out = interpreted(attend_at, **given, mask=mask)
    assert_close(out, gathered(**given, mask=mask), dtype)


@pytest.mark.parametrize("shape", [(2, 1, 1, 41), (1, 4, 1, 41), (1, 1, 1, 1), (2, 4, 1, 41)])
def test_a_mask_may_be_broadcast(interpreted, case, torch, shape):
    given = case()
    mask = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    seen = mask.expand(2, 4, 1, 41)
    expected = gathered(**given, mask=seen)
    for same in (mask, seen, seen.mT.contiguous().mT):
        assert_close(interpreted(attend_at, **given, mask=same), expected, "float32")


@pytest.mark.parametrize("own", [False, True])
def test_a_mask_may_say_what_is_seen(interpreted, case, torch, own):
    given = case(own=own)
    seen = torch.rand(2, 1, 1, 41, generator=torch.Generator().manual_seed(1)) > 0.5
    expected = gathered(**given, mask=torch.zeros(seen.shape).masked_fill(~seen, -inf))
    assert_close(interpreted(attend_at, **given, mask=seen), expected, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("own", [False, True])
def test_a_row_that_sees_nothing_gets_the_mean_of_its_values(interpreted, case, torch, own, dtype):
    # 300 places: the splits are of unequal lengths, and each value weighs the same all the same.
    given = case(own=own, n=350, m=300, dtype=dtype)
    alike = gathered(**{**given, "scale": 0.0})
    lowest = torch.finfo(given["query"].dtype).min
    expected = gathered(**given)
    for hidden in (lowest, -inf, False):
        mask = (
            torch.ones(2, 1, 1, 300, dtype=torch.bool)
            if hidden is False
            else torch.zeros(2, 1, 1, 300, dtype=given["query"].dtype)
        )
        mask[1] = hidden
        out = interpreted(attend_at, **given, mask=mask)
        assert_close(out[1:], alike[1:], dtype)
        assert_close(out[:1], expected[:1], dtype)


@pytest.mark.parametrize("own", [False, True])
def test_logits_are_capped_before_they_are_masked(interpreted, case, torch, own):
    given = case(own=own) | {"scale": 3.0, "softcap": 2.5}
    mask = torch.randn(2, 4, 1, 41, generator=torch.Generator().manual_seed(1))
    out = interpreted(attend_at, **given, mask=mask)
    assert_close(out, gathered(**given, mask=mask), "float32")
    assert (out.double() - gathered(**given | {"softcap": None}, mask=mask)).abs().max() > 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("falls", [False, True])
def test_blocks_and_splits_may_outdo_those_before(interpreted, case, torch, own, dtype, falls):
    given = case(
        **WIDE, rows=1, kv_heads=1, heads=2 if own else 3, n=600, m=600, own=own, dtype=dtype
    )
    along = given["query"].float().mean(1, keepdim=True)
    given["keys"][:] = along * torch.linspace(0, 1, 600)[:, None]
    given["index"] = torch.arange(600).expand_as(given["index"])
    if falls:
        given["index"] = given["index"].flip(-1)
    given["scale"] = 20 / 256
    assert_close(interpreted(attend_at, **given), gathered(**given), dtype)


def test_logits_far_from_0_neither_overflow_nor_vanish(interpreted, case, torch):
    given = case(n=350, m=300) | {"scale": 1e4}
    assert_close(interpreted(attend_at, **given), gathered(**given), "float32")
    mask = torch.full((1, 1, 1, 1), -3e4)
    assert (interpreted(attend_at, **given, mask=mask).isfinite()).all()


def test_rows_that_are_not_there_give_an_answer_of_no_rows(interpreted, case):
    given = case(rows=2)
    none = {name: given[name][:0] for name in ("query", "keys", "values", "index")}
    assert interpreted(attend_at, **none, scale=1.0).shape == (0, 1, 4, 32)


def drawn(case, seed):
    """A case of sizes drawn at random, with a mask and a cap or without."""
    import random

    import torch

    draw = random.Random(seed)
    kv_heads, n = draw.choice([1, 2, 3]), draw.randint(1, 300)
    given = case(
        rows=draw.randint(1, 3),
        heads=kv_heads * draw.choice([1, 2, 3, 5]),
        kv_heads=kv_heads,
        own=draw.random() < 0.5,
        n=n,
        m=draw.randint(1, n),
        channels=draw.randint(1, 130),
        contents=draw.randint(1, 130),
        dtype=draw.choice(DTYPES),
        seed=seed,
    )
    if draw.random() < 0.5:
        given["softcap"] = draw.uniform(1.0, 50.0)
    if draw.random() < 0.7:
        n_rows, n_heads = given["query"].shape[:2]
        generator = torch.Generator().manual_seed(seed)
        shape = (draw.choice([1, n_rows]), draw.choice([1, n_heads]), 1, given["index"].shape[2])
        mask = torch.randn(shape, generator=generator)
        given["mask"] = mask.masked_fill(mask > 1.0, torch.finfo(torch.float32).min)
        given["mask"][..., 0] = 0.0  # nobody sees nothing
    return given


@pytest.mark.parametrize("seed", range(16))
def test_it_agrees_at_sizes_drawn_at_random(interpreted, case, seed):
    given = drawn(case, seed)
    dtype = str(given["query"].dtype).removeprefix("torch.")
    assert interpreted(usable, *[given[x] for x in ("query", "keys", "values", "index")])
    assert_close(interpreted(attend_at, **given), gathered(**given), dtype)


# On a GPU.


@pytest.fixture
def on_gpu(torch):
    """Calls `attend_at` with everything moved to the GPU, its views kept, and brings it back."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("the interpreter is on, which compiles nothing")

    def moved(x):
        if not isinstance(x, torch.Tensor):
            return x
        whole = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage()).cuda()
        return whole.as_strided(x.shape, x.stride(), x.storage_offset())

    def run(**given):
        there = {name: moved(x) for name, x in given.items()}
        parts = [there[x] for x in ("query", "keys", "values", "index")]
        assert usable(*parts, there.get("mask"))
        return attend_at(**there).cpu()

    return run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_it_agrees_on_a_gpu(on_gpu, case, size, dtype):
    given = case(**SIZES[size], dtype=dtype)
    assert_close(on_gpu(**given), gathered(**given), dtype, CLOSE_ON_GPU)


@pytest.mark.parametrize("seed", range(16))
def test_it_agrees_on_a_gpu_at_sizes_drawn_at_random(on_gpu, case, seed):
    given = drawn(case, seed)
    dtype = str(given["query"].dtype).removeprefix("torch.")
    assert_close(on_gpu(**given), gathered(**given), dtype, CLOSE_ON_GPU)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("own", [False, True])
def test_it_agrees_on_a_gpu_at_the_sizes_of_a_model(on_gpu, case, torch, own, dtype):
    sizes = {"heads": 32, "kv_heads": 8, "channels": 128, "contents": 128}
    given = case(**sizes, rows=2, own=own, n=9001, m=4333, dtype=dtype)
    mask = torch.zeros(2, 1, 1, 4333, dtype=given["query"].dtype)
    mask[0, ..., :900] = torch.finfo(mask.dtype).min
    assert_close(on_gpu(**given, mask=mask), gathered(**given, mask=mask), dtype, CLOSE_ON_GPU)


# What is refused.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: {"query": x["query"][0]}, "must have 4 axes and index 3"),
        (lambda x: {"query": x["query"].expand(-1, -1, 2, -1)}, "one query for each row, got 2"),
        (lambda x: {"query": x["query"][:, :3]}, "must be a multiple of key-value heads, got 3"),
        (lambda x: {"query": x["query"][..., :16]}, r"do not fit query \[2, 4, 1, 16\]"),
        (lambda x: {"keys": x["keys"][:, :, :5]}, r"got \[2, 2, 5, 32\] and \[2, 2, 70, 32\]"),
        (lambda x: {"values": x["values"][:1]}, r"values \[B, Hkv, n, Dv\] do not fit"),
        (lambda x: {"index": x["index"][:, :1]}, r"must be \[2, 2 or 4, m\], got \[2, 1, 41\]"),
        (lambda x: {"index": x["index"][..., :0]}, "one picked, got 70 and 0"),
        (lambda x: {"index": x["index"].int()}, "index must be int64, got torch.int32"),
        (lambda x: {"index": x["index"].to("meta")}, "on one device"),
        (lambda x: {"keys": x["keys"].mT.contiguous().mT}, "must lie side by side"),
        (lambda x: {"keys": x["keys"].half()}, "of one type, got torch.float32, torch.float16"),
        (lambda x: {"query": x["query"].double()}, "or float32, got torch.float64"),
        (lambda x: {"query": x["query"].clone().requires_grad_()}, r"under torch\.no_grad"),
        (lambda x: {"mask": x["keys"][:, :, :1]}, r"broadcastable to \[2, 4, 1, 41\], got"),
        (lambda x: {"mask": x["index"][:, :1, None]}, "bool, bfloat16, .* got torch.int64"),
    ],
)
def test_it_says_what_does_not_fit(case, change, said):
    given = case()
    given |= change(given)
    with pytest.raises(ParameterError, match=f"^attend_at: .*{said}"):
        attend_at(**given)
    given.pop("scale")
    assert usable(**given) is False


def test_too_many_channels_and_a_cap_of_0_are_refused(case):
    with pytest.raises(ParameterError, match=r"D and Dv must be in \[1, 256\], got 257 and 32"):
        attend_at(**case(channels=257))
    with pytest.raises(ParameterError, match=r"softcap must be > 0, got 0\.0"):
        attend_at(**case(), softcap=0.0)


ASKED = """
import os, sys
os.environ.pop("TRITON_INTERPRET", None)
{before}
import torch
from memsieve.errors import MemsieveError
from memsieve.kv.kernels import attend_at, usable
x, index = torch.ones(1, 2, 1, 16), torch.zeros(1, 2, 1, dtype=torch.int64)
print(usable(x, x, x, index))
try:
    attend_at(x, x, x, index, scale=1.0)
except MemsieveError as error:
    print(type(error).__name__, error)
"""


def test_without_triton_it_is_not_usable_and_names_it(torch, elsewhere):
    said = elsewhere(ASKED.format(before="sys.modules['triton'] = None")).splitlines()
    assert said[0] == "False"
    assert said[1].startswith("MissingExtraError attend_at needs Triton")
    assert said[1].endswith("pip install triton")


def test_without_a_gpu_or_the_interpreter_it_is_not_usable(torch, elsewhere):
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    said = elsewhere(ASKED.format(before="")).splitlines()
    assert said[0] == "False"
    assert said[1].startswith("ParameterError attend_at needs a CUDA device")
    assert said[1].endswith("got tensors on cpu: ask `usable` first")


def test_neither_triton_nor_pytorch_is_needed_to_import_it(elsewhere):
    code = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from memsieve.kv import kernels
print("triton" in sys.modules)
sys.modules["triton"] = None
from memsieve.kv import kernels_triton
print(kernels_triton.is_interpreted())
"""
    assert elsewhere(code).splitlines() == ["False", "False"]


def _decoded_by_quest(shares, n_pad):
    """Logits of a small model's steps under Quest, and in how many layers the kernel ran."""
    import inspect

    import torch

    from memsieve import kv
    from memsieve.kv import bench, kernels

    sizes = bench.Sizes(n_layers=3, n_heads=4, n_kv_heads=2, head_dim=16, hidden=32, vocabulary=97)
    model = bench.open_model("llama", sizes, n_positions=256)
    ids = torch.randint(1, 97, (2, 70), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :n_pad] = 0
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    asked, run = [], kernels.attend_at
    kernels.attend_at = lambda *args, **options: (asked.append(1), run(*args, **options))[1]
    logits = []
    with torch.no_grad(), kv.enable(model) as memory:
        cache = memory.cache(kv.Quest(24, 4, n_full_layers=1, shares=shares))
        for start, end in ((0, 64), *((at, at + 1) for at in range(64, 70))):
            given = {"input_ids": ids[:, start:end], "attention_mask": mask[:, :end], name: cache}
            logits.append(model(**given, use_cache=True).logits[:, -1])
    kernels.attend_at = run
    return torch.stack(logits).tolist(), len(asked)


CASES = [(shares, n_pad) for shares in (False, True) for n_pad in (0, 5)]
SCRIPT = """
import json, runpy
found = runpy.run_path({path!r})
print(json.dumps([found["_decoded_by_quest"](*case) for case in found["CASES"]]))
"""


def test_a_policy_that_picks_gives_the_same_by_the_kernel(interpreted, torch):
    by_kernel = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(path=__file__)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    both = zip(json.loads(by_kernel.stdout), starmap(_decoded_by_quest, CASES), strict=True)
    for (fused, n_asked), (gathered, n_gathered) in both:
        assert (n_asked, n_gathered) == (2 * 6, 0)  # two layers choose, in six steps
        assert (torch.tensor(fused) - torch.tensor(gathered)).abs().max() < 1e-5
