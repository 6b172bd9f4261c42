"""docs/cli.md says what the program says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from typer.main import get_command

from memsieve.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "cli_reference.py"
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    done = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_page_that_is_not_up_to_date_is_noticed(monkeypatch, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("cli_reference", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.PAGE = tmp_path / "cli.md"
    tool.PAGE.write_text(PAGE.replace("Default: 100.", "Default: 99."), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["cli_reference.py", "--check"])
    assert tool.main() == 1
    assert "run python tools/cli_reference.py" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["cli_reference.py"])
    assert tool.main() == 0
    assert tool.PAGE.read_text(encoding="utf-8") == PAGE


def test_every_command_has_a_section_with_all_its_options():
    for name, command in get_command(app).commands.items():
        section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
        shared = PAGE.split("\n## Options of every command\n")[1].split("\n## ")[0]
        for parameter in command.params:
            assert all(f"`{option}" in section or f"`{option}" in shared or f"/ {option}" in section
                       for option in parameter.opts if option.startswith("-"))  # fmt: skip


def test_the_documented_fields_are_those_printed(good, talk, conversation, database):
    shapes = PAGE.split("\n## JSON\n")[1].split("\n## ")[0]

    def documented(command):
        (row,) = re.findall(rf"^\| [^|]*`{command}`[^|]* \| (.*) \|$", shapes, re.MULTILINE)
        return set(re.findall(r'"(\w+)"', row))

    recalled = good("recall", "Lisbon", "--json", "--k", "1").json
    hit, left = recalled["hits"][0], recalled["left_out"][0]
    item = good("get", talk[0], "--json").json
    asked = "How many days are there between moving to Lisbon and baking every morning?"
    (worked_out,) = good("recall", asked, "--json").json["computed"]
    assert set(good("timeline", "--json").json[0]) | {
        "path", "namespace", "entries",
    } == documented("timeline")  # fmt: skip
    assert set(item) == documented("get")
    assert set(recalled) | (set(hit) - set(item)) | (set(left) - set(hit)) | set(
        recalled["sessions"][0]
    ) | set(worked_out) == documented("recall")
    assert set(good("import", conversation, "--json").json) == documented("import")
    assert set(good("history", talk[0], "--json").json[0]) == documented("history")
    assert set(good("systems", "--json").json[0]) == documented("systems")
    answered = good("ask", "Who moved to Lisbon?", "--json").json
    assert set(answered) | set(answered["attempts"][0]) == documented("ask")
    stats = good("stats", "--json").json
    assert set(stats) | set(stats["namespaces"]["default"]) == documented("stats")
    assert set(good("forget", talk[0], "--json").json) == documented("forget")
    assert set(good("add", "x", "--json").json) == documented("add")
