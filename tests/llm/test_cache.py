"""Answers kept in memory and in real files, also damaged ones and those of others."""

import sqlite3
import threading
from contextlib import closing

import pytest

from memsieve.errors import NotAStoreError, ParameterError, StoreAccessError, StoreBusyError
from memsieve.llm import Completion, Model
from memsieve.llm.cache import Answers

ASK = """
import sys
from dataclasses import dataclass
from memsieve.llm import Model, from_spec

@dataclass(frozen=True)
class Fact:
    subject: str

model = Model(from_spec(sys.argv[1]), cache=sys.argv[2])
print(model.ask("Who?", Fact).subject, model.spent.calls, model.spent.cached)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.db"


def rows(path, statement="SELECT key, text FROM answer", *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def test_memory_keeps_those_used_last():
    answers = Answers(2)
    answers.put("a", "1")
    answers.put("b", "2")
    assert answers.get("a") == "1"
    answers.put("c", "3")
    assert [answers.get(key) for key in "abc"] == ["1", None, "3"]


def test_memory_of_no_size_keeps_nothing():
    answers = Answers(0)
    answers.put("a", "1")
    assert answers.get("a") is None


def test_a_second_process_spends_nothing(scripted, path, elsewhere):
    answer = {"choices": [{"message": {"content": '{"subject": "Ana"}'}}]}
    scripted.script = [(200, answer)]
    spec = f"{scripted.url}#m"
    assert elsewhere(ASK, spec, path) == "Ana 1 0"
    assert elsewhere(ASK, spec, path) == "Ana 0 1"
    assert len(scripted.bodies) == 1


def test_the_file_serves_what_memory_let_go(path):
    answers = Answers(0, path)
    answers.put("a", "Zürich 🏠\n")
    assert answers.get("a") == "Zürich 🏠\n"
    assert Answers(1, path).get("b") is None


def test_models_do_not_answer_for_one_another(path):
    class Named:
        def __init__(self, identity):
            self.identity = identity

        def complete(self, messages, *, max_tokens, temperature, top_p):
            return Completion(self.identity)

    assert [Model(Named(one), cache=path).write("?") for one in ("a", "b", "a")] == ["a", "b", "a"]
    assert len(rows(path)) == 2


def test_a_model_without_identity_needs_one_for_a_file(path):
    class Nameless:
        def complete(self, messages, *, max_tokens, temperature, top_p):
            return Completion("x")

    with pytest.raises(ParameterError, match="Nameless has no identity: pass one"):
        Model(Nameless(), cache=path)
    assert not path.exists()
    assert Model(Nameless(), cache=path, identity="mine").write("?") == "x"


def test_clearing_leaves_no_byte_of_an_answer(path):
    answers = Answers(5, path)
    answers.put("a", "a secret of Ana's")
    assert b"secret of Ana" in path.read_bytes()
    answers.clear()
    assert answers.get("a") is None
    assert b"secret of Ana" not in path.read_bytes()


def test_a_changed_text_is_asked_for_again_and_mended(path):
    Answers(0, path).put("a", "right")
    rows(path, "UPDATE answer SET text = 'wrong'")
    answers = Answers(0, path)
    assert answers.get("a") is None
    answers.put("a", "right")
    assert answers.get("a") == "right"


def test_every_flipped_byte_gives_the_right_answer_or_none(path):
    Answers(0, path).put("key", "the right answer")
    whole = path.read_bytes()
    at = whole.index(b"the right answer")
    for place in [0, 20, 30, 70, 100, 4096, *range(at - 60, at + 16)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert Answers(0, path).get("key") in ("the right answer", None), place
        except (NotAStoreError, StoreAccessError):
            continue


@pytest.mark.parametrize("content", [b"no database at all" * 99, b"SQLite format 3\0" + b"\0" * 99])
def test_a_file_of_something_else_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(NotAStoreError, match=r"no cache of answers or is damaged|something else"):
        Answers(5, path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_alone(path, opened):
    opened(path).add("Ana lives in Lisbon.")
    before = rows(path, "SELECT count(*) FROM sqlite_master")
    with pytest.raises(NotAStoreError, match="a database of something else than answers"):
        Answers(5, path)
    assert rows(path, "SELECT count(*) FROM sqlite_master") == before


def test_a_file_cut_in_half_is_refused(path):
    answers = Answers(0, path)
    for n in range(200):
        answers.put(str(n), "x" * 200)
    path.write_bytes(path.read_bytes()[:9_000])
    with pytest.raises(NotAStoreError, match="it holds only copies"):
        [Answers(0, path).get(str(n)) for n in range(200)]


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path):
    with pytest.raises(StoreAccessError, match="check its folder"):
        Answers(5, tmp_path / "nowhere" / "answers.db")
    with pytest.raises((StoreAccessError, NotAStoreError), match=str(tmp_path)):
        Answers(5, tmp_path)


def test_an_answer_that_cannot_be_written_is_not_lost(path, caplog):
    answers = Answers(5, path)
    rows(path, "DROP TABLE answer")
    answers.put("a", "paid for")
    assert answers.get("a") == "paid for"
    assert "an answer was not cached" in caplog.text


def test_a_file_that_is_locked_says_so(path, monkeypatch):
    monkeypatch.setattr("memsieve.llm.cache._TIMEOUT_S", 0.05)
    answers = Answers(5, path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError, match=r"was locked for 0\.05 s"):
            answers.get("a")


def test_many_threads_write_one_file(path):
    def work(name):
        answers = Answers(0, path)
        for n in range(10):
            answers.put(f"{name}{n}", name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(rows(path)) == 40
