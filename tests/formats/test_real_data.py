"""The real data sets, where they are at hand: counts that were counted apart from this code."""

from collections import Counter

from memsieve.formats import Scan, read, scan


def test_locomo_yields_every_turn_of_the_five_conversations(shared_data):
    path = shared_data / "locomo" / "dev.json"
    samples = ("conv-26", "conv-30", "conv-41", "conv-42", "conv-43")
    assert scan(path) == Scan("locomo", 2760, samples)
    messages = list(read(path))
    assert len({(m.namespace, m.key) for m in messages}) == 2760
    assert sum(" [picture: " in m.text for m in messages) == 602
    sessions = Counter(namespace for namespace, _ in {(m.namespace, m.session) for m in messages})
    assert [sessions[sample] for sample in samples] == [19, 19, 32, 29, 29]
    assert messages[0].at.isoformat() == "2023-05-08T13:56:00+00:00"


def test_bfcl_yields_every_message_of_the_five_scenarios(shared_data):
    path = shared_data / "bfcl_memory"
    scenarios = ("customer", "finance", "healthcare", "notetaker", "student")
    assert scan(path) == Scan("bfcl", 323, scenarios)
    messages = list(read(path))
    assert [Counter(m.namespace for m in messages)[name] for name in scenarios] == [
        109,
        35,
        47,
        24,
        108,
    ]
    assert len({m.session for m in messages}) == 37
    assert len({m.key for m in messages}) == 323
