"""Tensors of two devices never meet: every policy on an accelerator that only pretends to be one.

`Elsewhere` is a tensor that says it lies on "meta", a device that every PyTorch has, and computes
on the processor. As on a real accelerator, an operation refuses operands of two devices (but for
single numbers, and an index of the processor for a tensor elsewhere), and what comes of it lies
where its operands do. What it cannot show: other kernels, streams, and time.
"""

import copy

import pytest

from memsieve import kv
from memsieve.kv import bench

pytestmark = pytest.mark.torch

N_PROMPT, BUDGET = 80, 32


@pytest.fixture(scope="module")
def pretend():
    """A function that moves a module or tensor elsewhere, and the mode to use it in."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_flatten, tree_map

    there = torch.device("meta")

    class Elsewhere(torch.Tensor):
        @staticmethod
        def __new__(cls, inner, requires_grad=False):
            return torch.Tensor._make_wrapper_subclass(
                cls,
                inner.shape,
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                device=there,
                requires_grad=requires_grad,
            )

        def __init__(self, inner, requires_grad=False):
            self.real_one = inner

        def data_ptr(self):
            return self.real_one.data_ptr()

        def tolist(self):
            return self.real_one.tolist()

        def __deepcopy__(self, memo):
            return Elsewhere(copy.deepcopy(self.real_one, memo))

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return run(func, args, kwargs or {})

    def run(func, args, kwargs):
        asked = kwargs.get("device")
        flat, _ = tree_flatten((args, kwargs))
        tensors = [one for one in flat if isinstance(one, torch.Tensor)]
        moves = func is torch.ops.aten._to_copy.default
        copies = func is torch.ops.aten.copy_.default
        here = {isinstance(one, Elsewhere) for one in tensors if one.dim()}
        indexes = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
        if len(here) > 1 and not (moves or copies or indexes):
            raise RuntimeError(f"{func} got tensors of two devices")
        kwargs = {**kwargs, "device": torch.device("cpu")} if asked is not None else kwargs
        inner = tree_map(
            lambda one: one.real_one if isinstance(one, Elsewhere) else one, (args, kwargs)
        )
        found = func(*inner[0], **inner[1])
        if args and isinstance(args[0], torch.Tensor) and found is inner[0][0]:
            return args[0]  # in place
        is_there = (
            torch.device(asked).type == there.type
            if asked is not None
            else any(isinstance(one, Elsewhere) for one in tensors)
        )
        if not is_there:
            return found
        return tree_map(lambda one: Elsewhere(one) if isinstance(one, torch.Tensor) else one, found)

    class Made(TorchFunctionMode):
        """Tensors made of numbers, which come elsewhere without an operation."""

        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = dict(kwargs or {})
            if func is not torch.tensor or kwargs.get("device") is None:
                return func(*args, **kwargs)
            device = torch.device(kwargs.pop("device"))
            return torch.tensor(*args, **kwargs).to(device)

    class Mode(TorchDispatchMode):
        """Counts how often the processor has to wait for what is computed elsewhere."""

        n_waits = 0

        def __enter__(self):
            self.made = Made()
            self.made.__enter__()
            return super().__enter__()

        def __exit__(self, *error):
            super().__exit__(*error)
            self.made.__exit__(*error)

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            kwargs, aten = kwargs or {}, torch.ops.aten
            if any(isinstance(one, Elsewhere) for one in args):
                fetched = func is aten._to_copy.default and kwargs.get("device") is not None
                reads = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default)
                self.n_waits += func in reads or fetched
            return run(func, args, kwargs)

    def moved(thing):
        if isinstance(thing, torch.Tensor):
            return Elsewhere(thing)
        for module in thing.modules():
            parameters = {name: one for name, one in module._parameters.items() if one is not None}
            for name, one in parameters.items():
                module._parameters[name] = torch.nn.Parameter(
                    Elsewhere(one.detach()), requires_grad=False
                )
            for name, one in list(module._buffers.items()):
                module._buffers[name] = Elsewhere(one)
        return thing

    return moved, Mode


@pytest.fixture(scope="module")
def models(pretend):
    import transformers

    if int(transformers.__version__.partition(".")[0]) < 5:
        pytest.skip('transformers 4 asks for autocasting, which PyTorch has not for "meta"')
    sizes = bench.Sizes(n_layers=3, n_heads=4, n_kv_heads=2, head_dim=16, hidden=32, vocabulary=97)
    here, there = (bench.open_model("llama", sizes, n_positions=256) for _ in range(2))
    for model in (here, there):
        model.set_attn_implementation("eager")
    return here, pretend[0](there)


@pytest.mark.parametrize("name", [name for name in bench.names() if name != "full"])
def test_a_policy_decides_elsewhere_as_it_does_here(torch, pretend, models, fed, name, monkeypatch):
    """A prompt with padding in two pieces, single tokens, other rows, a crop, and one more."""
    from memsieve.kv import archive, worker

    # The pretence belongs to a thread, and a worker would be without it.
    monkeypatch.setattr(archive, "begun", worker.done)
    moved, mode = pretend
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 97, (2, N_PROMPT + 12), generator=draws)
    mask = torch.ones_like(ids)
    mask[0, :7] = 0
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    half, n = N_PROMPT // 2, N_PROMPT

    def run(model, to):
        made = bench.setting(name, BUDGET, n_full_layers=1)
        with torch.no_grad(), kv.enable(model) as memory, mode():
            cache = memory.cache(made.policy, leaving=made.leaving)

            def pass_over(start, end, rows=slice(None)):
                given = {"position_ids": to(places[rows, start:end])}
                out = fed(model, to(ids[rows, start:end]), cache, to(mask[rows, :end]), **given)
                return getattr(out, "real_one", out)[:, -1]

            pieces = [(0, half), (half, n), *((at, at + 1) for at in range(n, n + 8))]
            logits = [pass_over(*piece) for piece in pieces]
            cache.reorder_cache(to(torch.tensor([1, 1])))
            cache.crop(-2)
            logits.append(pass_over(n + 6, n + 7, rows=[1, 1]))
            assert {layer.slots.device.type for layer in cache.managed} == {model.device.type}
            archives = [layer.archive for layer in cache.managed if layer.archive is not None]
            assert {one.keys.device.type for one in archives if one.n} <= {"cpu"}
        return torch.stack(logits)

    here, there = models
    assert torch.equal(run(here, lambda one: one), run(there, moved))


@pytest.mark.parametrize(
    ("name", "most"),
    [("frame", 0), *((name, 1) for name in ("h2o", "keyformer", "quest", "snapkv", "tova"))],
)
def test_what_stays_on_the_device_is_chosen_without_waiting_for_it(
    torch, pretend, models, fed, name, most
):
    """Once in a pass a mask is looked at, and only where there is one; nothing else is read."""
    moved, mode = pretend
    ids = torch.randint(3, 97, (1, N_PROMPT + 8), generator=torch.Generator().manual_seed(0))
    made = bench.setting(name, BUDGET)
    with torch.no_grad(), kv.enable(models[1]) as memory, mode() as watched:
        cache = memory.cache(made.policy)
        fed(models[1], moved(ids[:, :N_PROMPT]), cache)
        before = watched.n_waits
        for at in range(N_PROMPT, N_PROMPT + 8):
            fed(models[1], moved(ids[:, at : at + 1]), cache)
    assert watched.n_waits - before <= 8 * most


def test_two_devices_do_not_mix_on_the_pretended_one(torch, pretend):
    moved, mode = pretend
    with mode() as watched:
        there = moved(torch.ones(3))
        assert (there + 1).device.type == "meta"
        assert torch.arange(3, device=there.device).device.type == "meta"
        assert there.to("cpu").device.type == "cpu"
        assert watched.n_waits == 1
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.ones(3)
