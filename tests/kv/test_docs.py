"""The blocks of docs/kv.md that need PyTorch: they print what the page shows."""

import doctest
import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("torch")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kv.md"


@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning")
def test_every_block_of_the_page_runs_with_pytorch(decoder, texts):
    ids, mask = texts()
    known = {"model": decoder(), "inputs": {"input_ids": ids, "attention_mask": mask}}
    text = re.sub(r" +# doctest: \+SKIP", "", PAGE.read_text(encoding="utf-8"))
    # The first block shows how it is used, with any model and any text.
    text = text.replace("model.generate(**inputs", "_ = model.generate(**inputs")
    text = text.replace("...     print(cache.stats.bytes_device)\n", "...     pass\n")
    test = doctest.DocTestParser().get_doctest(text, known, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 8
