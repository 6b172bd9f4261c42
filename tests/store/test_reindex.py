"""Another embedder or reader of time: refused by default, moved to in steps."""

import pytest

from memsieve.errors import EmbedderMismatchError, ParameterError

TEXTS = [f"Sentence {n} is about {word}." for n, word in enumerate(["tea", "rain", "jazz"] * 4)]


class PowerCutError(Exception):
    """Raised by tests in the middle of something."""


def lengths_of_codes(sql):
    return [row[0] for row in sql("SELECT length(codes) FROM item_index ORDER BY seq")]


@pytest.fixture
def old(opened, letters):
    """A memory of twelve items with vectors of eight dimensions."""
    memory = opened(embedder=letters("old", 8))
    memory.add(TEXTS)
    return memory


def test_a_file_remembers_its_embedder(opened, memory, sql):
    assert sql("SELECT value FROM meta WHERE key = 'embedder'") == [(memory.embedder.identity,)]
    assert opened().embedder.identity == memory.embedder.identity
    assert opened(embedder="static").embedder.identity == memory.embedder.identity


def test_a_file_of_no_embedder_is_opened_without_one(opened):
    memory = opened(embedder="none")
    memory.add(TEXTS)
    again = opened()
    assert again.embedder.dimensions == 0
    assert again.recall("jazz", k=1)[0].text == TEXTS[2]
    assert again.check() == []


def test_opening_with_another_embedder_is_refused_with_both_names(old, opened, letters):
    with pytest.raises(EmbedderMismatchError, match=r"made with the embedder old, .* with new:"):
        opened(embedder=letters("new", 8))
    with pytest.raises(EmbedderMismatchError, match="made with the embedder old"):
        opened(embedder="static")


def test_an_embedder_that_has_no_spec_must_be_passed(old, opened, letters):
    with pytest.raises(EmbedderMismatchError, match=r"embedder old, .* pass it as embedder="):
        opened()
    assert len(opened(embedder=letters("old", 8)).list()) == 12


def test_reindex_gives_every_item_a_vector_of_the_new_embedder(old, opened, letters, sql, texts_of):
    new = letters("new", 16)
    assert old.reindex(new) == 12
    assert old.embedder is new
    assert lengths_of_codes(sql) == [16] * 12
    assert old.check() == []
    assert set(texts_of(opened(embedder=new).recall("jazz", k=4))) == {
        text for text in TEXTS if "jazz" in text
    }


def test_reindex_to_the_same_embedder_has_nothing_to_do(old, letters):
    assert old.reindex(letters("old", 8)) == 0
    assert old.check() == []


def test_reindex_to_no_embedder_and_back(old, letters, sql):
    assert old.reindex("none") == 0
    assert lengths_of_codes(sql) == [0] * 12
    assert old.check() == []
    assert old.reindex(letters("old", 8)) == 12
    assert old.check() == []


def test_an_interrupted_reindex_goes_on_where_it_was(opened, letters, sql):
    old = opened(embedder=letters("old", 8))
    old.add([f"Sentence number {n}." for n in range(2_500)])
    new = letters("new", 16)

    def cut(done, total):
        assert total == 2_500
        if done >= 2_000:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        old.reindex(new, progress=cut)
    assert sorted(set(lengths_of_codes(sql))) == [0, 16]
    # Found by its words alone until then.
    assert old.recall("sentence number 2499", k=1)[0].text == "Sentence number 2499."
    old.close()
    again = opened(embedder=new)
    assert again.reindex(new) == 500
    assert set(lengths_of_codes(sql)) == {16}
    assert again.check() == []


def test_an_interrupted_reindex_may_be_mended_by_check_as_well(old, letters, sql):
    def cut(done, total):
        raise PowerCutError

    new = letters("new", 16)
    with pytest.raises(PowerCutError):
        old.reindex(new, progress=cut)
    sql("UPDATE item_index SET codes = x'', scale = 0 WHERE seq > 6")
    assert [one.fixed for one in old.check(fix=True)] == [True] * 6
    assert old.check() == []


@pytest.mark.parametrize("dimensions", [8, 16])
def test_a_process_with_the_old_embedder_is_told_and_changes_nothing(
    old, opened, letters, sql, dimensions
):
    # With equal dimensions nothing else would show that the vectors are of two models.
    other = opened(embedder=letters("old", 8))
    assert len(other.recall("jazz")) > 0
    old.reindex(letters("new", dimensions))
    rows = sql("SELECT * FROM item_index"), sql("SELECT count(*) FROM item")
    for call in (
        lambda: other.add("Too late."),
        lambda: other.recall("jazz"),
        lambda: other.check(fix=True),
    ):
        with pytest.raises(EmbedderMismatchError, match=r"moved to the embedder new, .* open it"):
            call()
    assert (sql("SELECT * FROM item_index"), sql("SELECT count(*) FROM item")) == rows
    assert len(other.list()) == 12
    other.reindex(letters("new", dimensions))
    other.add("In time again.")
    assert other.recall("jazz", k=1)[0].text in TEXTS
    assert other.check() == []


def test_two_reindexes_to_different_embedders_cannot_mix(old, opened, letters, sql):
    other = opened(embedder=letters("old", 8))

    def overtake(done, total):
        other.reindex(letters("second", 4))

    # A thousand are written at a time: the first batch is done when the other comes.
    old.add([f"More {n}." for n in range(1_500)])
    with pytest.raises(EmbedderMismatchError, match="moved to the embedder second"):
        old.reindex(letters("first", 16), progress=overtake)
    assert set(lengths_of_codes(sql)) == {4}
    assert opened(embedder=letters("second", 4)).check() == []


def test_readers_in_the_new_embedder_load_the_finished_vectors(old, opened, letters):
    new = letters("new", 16)
    readers = []

    def look(done, total):
        readers.append(opened(embedder=new))
        readers[-1].recall("jazz")  # loads what is there by now

    old.reindex(new, progress=look)
    question = "zzaj"  # the letters of jazz: no word of any text, so only vectors can find it
    found = [set(reader.recall(question, k=4).ids) for reader in (*readers, opened(embedder=new))]
    assert len(found[0]) == 4
    assert all(ids == found[0] for ids in found)


def test_adopting_a_file_is_the_way_in_where_the_old_embedder_is_lost(old, opened, letters, sql):
    old.close()
    new = letters("new", 16)
    memory = opened(embedder=new, adopt=True)
    assert lengths_of_codes(sql) == [0] * 12
    assert memory.recall("jazz", k=1)[0].text == TEXTS[2]
    assert memory.reindex(new) == 12
    assert memory.check() == []


def test_a_mistaken_embedder_leaves_no_file_behind(opened, database):
    with pytest.raises(ValueError, match="embedder spec must be static"):
        opened(embedder="nonsense")
    assert not database.exists()


# Times


def unread(sql):
    ((count,),) = sql("SELECT count(*) FROM item_index WHERE dated_tokens IS NULL")
    return count


def test_reading_times_with_another_reader_reads_all_of_them(dated, opened, words, sql):
    dated.add(["It was in 2020.", "It is."])
    assert dated.reindex(time=True, timeline="none") == 2
    assert dated.timeline_reader.identity == "none"
    assert sql("SELECT count(*) FROM item_time") == [(0,)]
    assert dated.check() == []
    assert opened(embedder="none").reindex(time=True, timeline=words()) == 2
    assert opened(embedder="none", timeline=words()).list()[0].happened.start.year == 2020


def test_reading_times_with_the_same_reader_reads_what_is_unread_and_mends_events(dated, sql):
    ids = dated.add(["It was in 2020.", "It was in 2021.", "It is."])
    before = [dated.get(id_) for id_ in ids]
    assert dated.reindex(time=True) == 0
    sql("DELETE FROM item_time WHERE item > 1")
    sql("UPDATE item_index SET dated_tokens = NULL WHERE seq > 1")
    sql("UPDATE item SET happened_from = NULL, happened_precision = NULL WHERE seq > 1")
    assert dated.stats()["unread_times"] == 2
    assert dated.get(ids[1]).happened is None
    assert dated.reindex(time=True) == 2
    assert [dated.get(id_) for id_ in ids] == before
    assert (dated.stats()["unread_times"], dated.check()) == (0, [])


def test_an_interrupted_reading_of_times_goes_on_where_it_was(dated, words, sql):
    dated.add([f"It was in {1900 + n % 100}." for n in range(2_500)])

    def cut(done, total):
        assert total == 2_500
        if done >= 2_000:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        dated.reindex(time=True, timeline=words("more words"), progress=cut)
    assert unread(sql) == 500
    assert dated.reindex(time=True, timeline=words("more words")) == 500
    assert dated.check() == []


def test_loaded_readers_see_the_new_times(dated, opened, words):
    dated.add("It was in 2020.")
    dated.reindex(time=True, timeline="none")
    reader = opened(embedder="none")
    assert reader.recall("2020")[0].item.mentions == ()
    dated.reindex(time=True, timeline=words())
    with pytest.raises(ParameterError, match="moved to the timeline words"):
        reader.add("Too late.")
    assert len(reader.recall("2020")[0].item.mentions) == 1
    (block,) = reader._recaller.blocks._blocks.values()
    assert len(block.event_doc) == 1


def test_a_process_with_the_old_reader_is_told_and_changes_nothing(dated, opened, words, sql):
    dated.add("It was in 2020.")
    other = opened(embedder="none", timeline=words())
    dated.reindex(time=True, timeline="none")
    rows = sql("SELECT * FROM item_time"), sql("SELECT count(*) FROM item")
    for call in (lambda: other.add("Too late."), lambda: other.check(fix=True)):
        with pytest.raises(ParameterError, match=r"moved to the timeline none, .* words: open it"):
            call()
    assert (sql("SELECT * FROM item_time"), sql("SELECT count(*) FROM item")) == rows


def test_two_readings_with_different_readers_cannot_mix(dated, opened, words, sql):
    dated.add([f"It was in 2020, line {n}." for n in range(1_500)])
    other = opened(embedder="none", timeline=words())

    def overtake(done, total):
        other.reindex(time=True, timeline="none")

    with pytest.raises(ParameterError, match="moved to the timeline none"):
        dated.reindex(time=True, timeline=words("more words"), progress=overtake)
    assert (unread(sql), sql("SELECT count(*) FROM item_time")) == (0, [(0,)])
    assert other.check() == []


def test_vectors_and_times_may_be_made_anew_in_one_call(dated, letters):
    dated.add(["It was in 2020.", "It is."])
    assert dated.reindex(letters(), time=True, timeline="none") == 4
    assert (dated.embedder.identity, dated.timeline_reader.identity) == ("letters", "none")
    assert dated.check() == []


@pytest.mark.parametrize("given", [{}, {"timeline": "none"}, {"embedder": "none", "timeline": "x"}])
def test_a_reindex_of_nothing_is_refused(dated, given):
    with pytest.raises(ParameterError, match=r"reindex needs an embedder, time=True or both"):
        dated.reindex(**given)
