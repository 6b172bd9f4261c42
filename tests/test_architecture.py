"""Imports point one way, from the doors down to types and errors; and the base stays light."""

import ast
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import memsieve

SOURCE = Path(memsieve.__file__).parent

# A room imports from its own layer and from those above it in this list, never from below.
LAYERS = (
    {"errors", "types", "version", "rules", "traits"},
    {"select", "timeline", "embed", "llm", "store", "formats"},
    {"search", "score"},
    {"manage"},
    {
        *("recollection", "timing", "request", "layout", "grounding", "stages", "recall"),
        *(
            "carrying",
            "chronology",
            "intake",
            "settling",
            "registry",
            "asking",
            "opened",
            "kept",
            "memory",
        ),
    },
    {"systems", "experience", "evaluate", "learn"},
    {"cli", "server"},
    {"__main__"},
)
# What stands on its own, although it shares a layer.
APART = ({"embed", "store", "select", "formats"},)
# Memories inside models: optional parts that know nothing of stores and memories.
INSIDE_MODELS = {"kv", "moe", "layers", "training", "video"}
FOR_INSIDE_MODELS = {"select", "types", "errors", "version"}
# Doors have commands of such parts: they open them inside functions, so that nothing is loaded
# before its command runs.
OPENED = {"cli": {"kv"}}
# The package itself offers names of these; only a type checker follows the last two.
OFFERED = {"errors", "types", "version", "memory", "recollection"}

USE = """
import sys, memsieve
with memsieve.open(sys.argv[1]) as memory:
    id_ = memory.add("Ana moved to Lisbon.", at="2 March 2026", speaker="Ana")
    memory.recall("Where does Ana live?", budget_tokens=100).context()
    memory.export(sys.argv[1] + ".jsonl")
    memory.import_(sys.argv[1] + ".jsonl", namespace="copy")
    memory.forget(id_)
    assert memory.check() == []
"""
LOADED = """
import json, sys
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def room_of(path):
    """The room that a module lies in: its folder below the package, or its own name."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path):
    """The rooms that a module imports anything from, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {part[1] for part in parts if part[0] == "memsieve" and len(part) > 1}
    return found


def allowed(room):
    """The rooms that `room` may import from."""
    if room == "__init__":
        return OFFERED
    if room in INSIDE_MODELS:
        return FOR_INSIDE_MODELS | {room}
    (layer,) = (at for at, rooms in enumerate(LAYERS) if room in rooms)
    below = set().union(*LAYERS[: layer + 1])
    for group in APART:
        below -= group - {room} if room in group else set()
    return below | OPENED.get(room, set())


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_from_where_the_arrows_point(path):
    room = room_of(path)
    known = {*INSIDE_MODELS, "__init__"}.union(*LAYERS)
    assert room in known, f"{room} has no layer yet: give it one in this test and in the design"
    # `from memsieve import formats` names a room, `from memsieve import Memory` a thing of one.
    wrong = (imported(path) & known) - allowed(room)
    assert not wrong, f"{path.relative_to(SOURCE)} must not import from {sorted(wrong)}"


def test_the_parser_of_imports_sees_every_way_to_write_one(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "import memsieve.store.sqlite as s, numpy\n"
        "from memsieve import formats\n"
        "from memsieve.select import TopK\n"
        "def f():\n    from memsieve.cli import app\n"
        "if False:\n    import memsieve\n"
    )
    assert imported(module) == {"store", "formats", "select", "cli"}


@pytest.mark.parametrize(
    ("room", "barred", "fine"),
    [
        ("store", {"embed", "search", "memory", "cli"}, {"errors", "types", "store", "timeline"}),
        ("search", {"manage", "memory", "evaluate"}, {"store", "embed", "score", "select"}),
        ("memory", {"evaluate", "cli", "kv"}, {"store", "recall", "manage", "formats"}),
        ("kv", {"store", "memory", "embed", "moe"}, {"select", "types", "errors"}),
        ("cli", {"moe", "training"}, {"memory", "evaluate", "server"}),
    ],
)
def test_the_arrows_are_those_of_the_design(room, barred, fine):
    assert not barred & allowed(room)
    assert fine <= allowed(room)


def test_a_door_opens_parts_inside_models_in_functions_only():
    for path in MODULES:
        parts = OPENED.get(room_of(path), set())
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[1:2] not in [[part] for part in parts], path


def test_no_module_of_the_library_reads_the_environment_or_prints():
    for path in MODULES:
        if room_of(path) in ("cli", "server", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno} prints"
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("environ", "getenv"), f"{path}:{node.lineno}"


def base_distributions():
    """The packages that an installation without extras brings, theirs included."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["project"]
    waiting, found = list(project["dependencies"]), {"memsieve"}
    while waiting:
        requirement = waiting.pop()
        name = re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        if "extra ==" in requirement or name in found:
            continue
        try:
            waiting += metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # a dependency for another platform
        found.add(name)
    return found


def distributions_loaded_by(elsewhere, code, *arguments):
    """The installed packages that code loads, beyond what an empty program loads."""
    before = json.loads(elsewhere(LOADED))
    after = json.loads(elsewhere(code + LOADED, *arguments))
    owners = metadata.packages_distributions()
    loaded = {owner for module in set(after) - set(before) for owner in owners.get(module, ())}
    return {name.lower().replace("_", "-") for name in loaded}


@pytest.fixture(scope="module")
def installed():
    if not (SOURCE.parents[1] / "pyproject.toml").exists():
        pytest.skip("the project file is only in the source tree")


def test_importing_the_package_loads_no_other_package(installed, elsewhere):
    assert distributions_loaded_by(elsewhere, "import memsieve\n") <= {"memsieve"}


def test_ordinary_use_loads_base_dependencies_only(installed, elsewhere, tmp_path):
    loaded = distributions_loaded_by(elsewhere, USE, tmp_path / "agent.db")
    assert {"numpy", "pystemmer"} <= loaded
    assert loaded <= base_distributions()


def test_the_base_has_no_heavy_package():
    heavy = {"torch", "matplotlib", "httpx", "transformers", "sentence-transformers", "pandas"}
    assert not heavy & base_distributions()


def test_every_name_that_is_offered_is_there():
    assert len(set(memsieve.__all__)) == len(memsieve.__all__)
    for name in memsieve.__all__:
        assert getattr(memsieve, name) is not None
    with pytest.raises(AttributeError, match="module 'memsieve' has no attribute 'nonsense'"):
        memsieve.nonsense  # noqa: B018
