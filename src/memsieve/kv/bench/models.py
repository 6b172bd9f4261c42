"""Models to measure with: small decoders with random weights, or one from a local folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memsieve.errors import NotFoundError, ParameterError
from memsieve.kv.bench.strategies import Shape
from memsieve.kv.checks import facts_of, whole_number
from memsieve.kv.extras import need_extra, torch

DTYPES = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a random model is like.

    Parameters
    ----------
    n_layers, n_heads, n_kv_heads, head_dim, hidden, vocabulary
        Sizes; each at least 1. The defaults give 6,144 bytes of keys and values a token in
        float32.
    sharpness
        Weight matrices are multiplied by it. Freshly drawn ones give attention so flat that no
        choice of tokens is better than another. Logits of attention then have a standard deviation
        of about (0.02 * sharpness)^2 * hidden: 1.6 with the defaults.
    """

    n_layers: int = 6
    n_heads: int = 8
    n_kv_heads: int = 2
    head_dim: int = 64
    hidden: int = 256
    vocabulary: int = 512
    sharpness: float = 4.0

    def __post_init__(self) -> None:
        for name in ("n_layers", "n_heads", "n_kv_heads", "head_dim", "hidden", "vocabulary"):
            whole_number(f"Sizes.{name}", getattr(self, name), at_least=1)
        if self.n_heads % self.n_kv_heads:
            raise ParameterError(
                f"Sizes.n_heads must be a multiple of n_kv_heads = {self.n_kv_heads}, "
                f"got {self.n_heads}"
            )
        if not self.sharpness > 0:
            raise ParameterError(f"Sizes.sharpness must be > 0, got {self.sharpness!r}")


def random_model(
    family: str = "llama", sizes: Sizes | None = None, *, n_positions: int = 32_768, seed: int = 0
) -> Any:
    """A decoder of a family of transformers, such as llama or qwen3, with random weights.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    ParameterError
        If transformers has no decoder under that name.
    """
    need_extra()
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = sizes or Sizes()
    options: dict[str, Any] = {
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "intermediate_size": 2 * sizes.hidden,
        "num_hidden_layers": sizes.n_layers,
        "num_attention_heads": sizes.n_heads,
        "num_key_value_heads": sizes.n_kv_heads,
        "head_dim": sizes.head_dim,
        "max_position_embeddings": n_positions,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    try:
        known = AutoConfig.for_model(family)
        if not hasattr(known, "head_dim"):  # such families divide the hidden size
            del options["head_dim"]
        if getattr(known, "sliding_window", None) and not getattr(known, "layer_types", None):
            options["sliding_window"] = None  # else no layer is left whose cache is managed
        config = AutoConfig.for_model(family, **options)
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    except (KeyError, ValueError) as error:
        raise ParameterError(
            f"transformers has no decoder called {family!r}: give a family such as llama, "
            "mistral or qwen3, or the folder of a model"
        ) from error
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(sizes.sharpness)
    return model.eval()


def open_model(
    name: str,
    sizes: Sizes | None = None,
    *,
    n_positions: int = 32_768,
    dtype: str = "float32",
    device: str = "cpu",
    seed: int = 0,
) -> Any:
    """The model in a folder, or a random one of a family; nothing is downloaded.

    Raises
    ------
    MissingExtraError
        If PyTorch or transformers is missing.
    NotFoundError
        If `name` looks like a path and no folder of a model is there.
    ParameterError
        If the family, dtype or device is none that exists.
    """
    need_extra()
    if dtype not in DTYPES:
        raise ParameterError(f"dtype must be one of {list(DTYPES)}, got {dtype!r}")
    place = usable_device(device)
    if Path(name).is_dir():
        model = _from_folder(Path(name))
    elif any(mark in name for mark in "/\\."):
        raise NotFoundError(f"no folder of a model at {name}")
    else:
        model = random_model(name, sizes, n_positions=n_positions, seed=seed)
    return model.to(device=place, dtype=getattr(torch, dtype)).eval()


def usable_device(name: str) -> Any:
    """The device of PyTorch called so.

    Raises
    ------
    ParameterError
        If PyTorch knows no such device, or cannot use it here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ParameterError(f"device {name!r} cannot be used here: {error}") from error
    return device


def _from_folder(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").exists():
        raise NotFoundError(f"no folder of a model at {folder}: it has no config.json")
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)


def shape_of(model: Any) -> Shape:
    """The model's shape for the serving model."""
    facts = facts_of(model.config, model)
    return Shape(
        n_params=float(sum(parameter.numel() for parameter in model.parameters())),
        n_layers=facts.n_layers,
        n_kv_heads=facts.n_kv_heads,
        head_dim=facts.head_dim,
        itemsize=int(next(model.parameters()).element_size()),
    )
