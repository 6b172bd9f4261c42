import json

import pytest

from memsieve.errors import FormatError, NotFoundError
from memsieve.formats import Scan, Tau2, detect, read, scan

CARD = {"id": "doc_card", "title": "Gold card", "content": "No annual fee.\n\nCash back 2 %."}
LOAN = {"id": "doc_loan", "title": "Loans", "content": "Ask for an income statement."}
TASK = {
    "id": "task_1",
    "user_scenario": {"persona": None, "instructions": "You want a card without a fee."},
    "required_documents": ["doc_card"],
}


@pytest.fixture
def folder(write, tmp_path):
    """A function that writes the two files with the given documents and returns their folder."""

    def written(*documents):
        write("documents.jsonl", "\n".join(json.dumps(one) for one in documents))
        write("tasks.json", json.dumps([TASK]))
        return tmp_path

    return written


def test_a_document_is_its_title_a_blank_line_and_its_content(folder):
    card, loan = Tau2().read(folder(CARD, LOAN))
    assert card.text == "Gold card\n\nNo annual fee.\n\nCash back 2 %."
    assert (card.key, loan.key) == ("doc_card", "doc_loan")
    assert {m.namespace for m in (card, loan)} == {"tau2-banking"}
    assert {(m.kind, m.source, m.trust) for m in (card, loan)} == {("document", "import", 1.0)}
    assert (card.at, card.session, card.speaker, card.role) == (None, None, None, None)


def test_a_folder_of_both_files_is_told_by_its_tasks(folder, write):
    path = folder(CARD, LOAN)
    assert detect(path).name == "tau2"
    assert scan(path) == Scan("tau2", 2, ("tau2-banking",))
    write("tasks.json", json.dumps([{"id": "buy milk"}]))
    with pytest.raises(FormatError, match=r"looks like none of bfcl, .*, tau2: "):
        detect(path)


def test_other_files_beside_them_do_not_mislead_the_detection(folder, write):
    path = folder(CARD)
    write("db.json", json.dumps({"accounts": {}}))
    assert detect(path).name == "tau2"


def test_the_documents_alone_are_read_when_asked_for_and_not_claimed(folder):
    path = folder(CARD, LOAN) / "documents.jsonl"
    assert [m.key for m in read(path, "tau2")] == ["doc_card", "doc_loan"]
    assert detect(path).name == "jsonl"


def test_a_blank_part_is_left_out_and_so_is_a_document_of_blanks(folder):
    untitled, empty = {**CARD, "title": " "}, {**LOAN, "title": "", "content": "\n"}
    titled = {"id": "doc_title", "title": "Only a title", "content": ""}
    found = list(Tau2().read(folder(untitled, empty, titled)))
    assert [(m.key, m.text) for m in found] == [
        ("doc_card", CARD["content"]),
        ("doc_title", "Only a title"),
    ]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"id": None}, "a document must have id, title and content as strings, got {'id': None"),
        ({"id": ""}, "a document must have id, title and content as strings"),
        ({"id": 7}, "a document must have id, title and content as strings"),
        ({"title": None}, "a document must have id, title and content as strings"),
        ({"content": ["No fee."]}, "a document must have id, title and content as strings"),
        ({"id": "doc_card"}, "the id 'doc_card' is taken by an earlier document"),
        ({"id": "\n"}, "key must be text that is not blank"),
        ({"content": "\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_a_mistake_is_named_with_its_line(change, what, folder):
    with pytest.raises(FormatError, match=rf"^documents\.jsonl line 2: {what}"):
        scan(folder(CARD, LOAN | change))


def test_a_row_that_is_no_object_is_named_with_its_line(folder):
    with pytest.raises(FormatError, match=r"^documents\.jsonl line 2: a document must have id"):
        scan(folder(CARD, [LOAN]))


def test_a_folder_without_documents_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"no such file: .*documents\.jsonl"):
        scan(tmp_path, "tau2")


def test_real_data_yield_every_document(shared_data):
    path = shared_data / "tau2_banking"
    assert scan(path) == Scan("tau2", 698, ("tau2-banking",))
    messages = list(read(path))
    assert len({m.key for m in messages}) == 698
    assert messages[0].key == "doc_bank_accounts_bank_accounts_(general)_001"
    assert messages[0].text.startswith(
        "Internal: Opening Personal Checking Accounts\n\n## Eligibility Requirements\n\n"
    )
