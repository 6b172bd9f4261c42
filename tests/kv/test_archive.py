"""Entries on the host: fetched, asked for beside the pass, put into the places of others."""

from copy import deepcopy
from threading import Event, Thread
from weakref import ref

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.worker import begun

pytestmark = pytest.mark.torch

SECONDS = 20


@pytest.fixture
def held(torch):
    """An archive of 50 entries for 2 rows and 3 heads, with keys of 4 channels and values of 2."""

    def make(kind=Beside):
        generator = torch.Generator().manual_seed(0)
        archive = kind()
        keys, values = (torch.randn(2, 3, 50, d, generator=generator) for d in (4, 2))
        archive.add(keys, values, torch.arange(50).expand(2, 3, -1))
        return archive

    return make


@pytest.fixture
def index(torch):
    """Seven entries for each head of `held`."""
    return torch.rand(2, 3, 50, generator=torch.Generator().manual_seed(1)).topk(7).indices


class Beside(kv.Archive):
    """The worker is asked for the smallest fetch."""

    beside_bytes = 0


class Watched(Beside):
    """The worker tells that it has begun to read, and goes on when it may."""

    def __init__(self):
        super().__init__()
        self.started, self.may_go_on = Event(), Event()

    def send(self, index):
        """Wait in between."""
        self.started.set()
        assert self.may_go_on.wait(SECONDS)
        return super().send(index)


def assert_same(torch, extra, other):
    for one, two in zip(parts(extra), parts(other), strict=True):
        assert torch.equal(one, two)


def parts(extra):
    return (extra.keys, extra.values, extra.slots)


@pytest.mark.parametrize("m", [0, 1, 7])
def test_what_is_asked_for_arrives_as_it_is_fetched(torch, held, index, m):
    asking, fetching = held(), held()
    arrived, fetched = asking.ask(index[..., :m]).extra(), fetching.fetch(index[..., :m])
    assert_same(torch, arrived, fetched)
    at = index[..., :m, None]
    assert torch.equal(fetched.keys, fetching.keys.gather(2, at.expand(-1, -1, -1, 4)))
    assert torch.equal(fetched.values, fetching.values.gather(2, at.expand(-1, -1, -1, 2)))
    assert torch.equal(fetched.slots, index[..., :m])
    assert asking.bytes_fetched == fetching.bytes_fetched == 2 * 3 * m * 6 * 4


def test_little_is_gathered_on_the_spot_and_much_by_the_worker(torch, held, index):
    class Choosy(Watched):
        beside_bytes = 2 * 3 * 7 * 6 * 4

    archive = held(Choosy)
    archive.may_go_on.set()
    assert archive.ask(index[..., :6]).job.future.done()
    assert archive.bytes_fetched == 2 * 3 * 6 * 6 * 4
    archive.may_go_on.clear()
    arriving = archive.ask(index)
    assert not arriving.job.future.done()
    archive.may_go_on.set()
    assert_same(torch, arriving.extra(), held().fetch(index))


def test_from_a_gpu_it_goes_to_the_host_and_back(torch, held, index):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    keys, values, slots = parts(held().fetch(torch.arange(50).expand(2, 3, -1)))
    archive = kv.Archive()
    archive.add(keys.cuda(), values.cuda(), slots.cuda())
    for extra in (archive.ask(index.cuda()).extra(), archive.fetch(index.cuda())):
        assert all(part.is_cuda for part in parts(extra))
        there = kv.Extra(*(part.cpu() for part in parts(extra)))
        assert_same(torch, there, held().fetch(index))
    twin = deepcopy(archive.ask(index.cuda())).extra()
    assert torch.equal(twin.keys.cpu(), held().fetch(index).keys)


def test_reading_begins_before_anything_is_taken_and_asking_does_not_wait(torch, held, index):
    archive = held(Watched)
    arriving = archive.ask(index)
    assert archive.started.wait(SECONDS)
    assert not arriving.job.future.done()
    archive.may_go_on.set()
    assert_same(torch, arriving.extra(), held().fetch(index))
    assert_same(torch, arriving.extra(), held().fetch(index))  # a second time
    assert archive.bytes_fetched == 2 * 3 * 7 * 6 * 4


def test_what_the_worker_has_not_begun_is_done_by_who_takes_it(torch, held, index):
    busy, archive = held(Watched), held()
    first = busy.ask(index)
    assert busy.started.wait(SECONDS)
    second = archive.ask(index)
    assert_same(torch, second.extra(), held().fetch(index))  # the worker still waits
    archive.crop(0)  # and so does nobody for it
    busy.may_go_on.set()
    first.extra()


def test_changes_wait_until_what_is_read_has_been_read(torch, held, index):
    expected = held().fetch(index)
    for change in (
        lambda archive: archive.crop(10),
        lambda archive: archive.of_rows(torch.tensor([1, 1, 0])),
        lambda archive: archive.clear(),
        lambda archive: archive.add(archive.keys, archive.values, archive.slots),
        overwrite,
    ):
        archive = held(Watched)
        arriving, version = archive.ask(index), archive.version
        assert archive.started.wait(SECONDS)
        changing = Thread(target=change, args=(archive,))
        changing.start()
        archive.may_go_on.set()
        changing.join(SECONDS)
        assert not changing.is_alive()
        assert archive.version == version + 1
        assert_same(torch, arriving.extra(), expected)


def overwrite(archive):
    """Put the first ten entries in the places of the last ten."""
    archive.places = archive.slots[:, :, 40:].clone()
    archive.add(*(x[:, :, :10].clone() for x in (archive.keys, archive.values, archive.slots)))


def test_a_copy_holds_what_was_on_its_way(torch, held, index):
    archive = held()
    arriving = archive.ask(index)
    twin = deepcopy({"archive": archive, "arriving": arriving})
    assert twin["archive"].bytes_fetched == archive.bytes_fetched == 2 * 3 * 7 * 6 * 4
    arriving.extra().keys.zero_()
    archive.clear()
    assert_same(torch, twin["arriving"].extra(), held().fetch(index))
    assert_same(torch, twin["archive"].ask(index).extra(), held().fetch(index))


@pytest.mark.parametrize("entry", [-1, 50])
def test_errors_of_the_worker_come_out_where_its_answer_is_taken(torch, held, index, entry):
    archive = held()
    index[1, 2, 3] = entry
    arriving = archive.ask(index)
    begun(lambda: None).future.result()  # the worker is through with it
    for one in (arriving, arriving, deepcopy(arriving)):
        with pytest.raises(ParameterError, match=rf"must be in \[0, 50\), got {entry}"):
            one.extra()
    with pytest.raises(ParameterError, match="an index into an archive of 50 entries"):
        archive.fetch(index)
    archive.crop(10)  # a change is none of their business
    assert archive.bytes_fetched == 0


def test_errors_come_out_too_where_who_takes_does_the_work(torch, held, index):
    busy, archive = held(Watched), held()
    first = busy.ask(index)
    assert busy.started.wait(SECONDS)
    arriving = archive.ask(index + 50)
    for one in (arriving, arriving, deepcopy(arriving)):
        with pytest.raises(ParameterError, match="an index into an archive"):
            one.extra()
    busy.may_go_on.set()
    first.extra()


def test_what_nobody_takes_is_let_go(held, index):
    archive = held()
    arriving = archive.ask(index)
    future = arriving.job.future
    gone = ref(future.result().what.keys), ref(future)
    del arriving, future
    begun(lambda: None).future.result()  # the worker holds its last job until the next
    assert [one() for one in gone] == [None, None]


def test_the_worker_computes_in_the_modes_of_who_asks(torch, held, index):
    archive = held()
    for inference in (True, False):
        with torch.inference_mode(inference):
            asked = archive.ask(index)
        begun(lambda: None).future.result()
        assert asked.job.future.result().what.keys.is_inference() == inference
    with torch.enable_grad():
        modes = begun(torch.is_grad_enabled)
        assert modes.future.result() is False


# Places.


def entries(torch, slots):
    """Keys, values and slots [1, H, m] whose keys and values tell their slot."""
    slots = torch.tensor([slots])
    keys = slots[..., None].float().expand(-1, -1, -1, 4)
    return keys, -keys[..., :2], slots


def test_entries_go_where_the_places_say_for_one_addition(torch):
    archive = kv.Archive()
    archive.n_max = 4
    archive.add(*entries(torch, [[0, 1, 2], [0, 1, 2]]))
    archive.places = torch.tensor([[[1, -1, 3], [3, 0, 2]]])
    archive.add(*entries(torch, [[3, 4, 5], [3, 4, 5]]))
    assert archive.slots.tolist() == [[[0, 3, 2, 5], [4, 1, 5, 3]]]
    assert torch.equal(archive.keys[..., 0].long(), archive.slots)
    assert torch.equal(-archive.values[..., 1].long(), archive.slots)
    assert archive.n == 4
    assert archive.places is None
    archive.add(*entries(torch, [[6], [6]]))
    assert archive.slots[..., -1].tolist() == [[6, 6]]


def test_places_that_nobody_fills_are_empty(torch):
    archive = kv.Archive()
    archive.places = torch.tensor([[[2], [0]]])
    archive.add(*entries(torch, [[7], [7]]))
    assert archive.slots.tolist() == [[[-1, -1, 7], [7, -1, -1]]]


def test_memory_is_never_taken_for_more_than_the_most(torch):
    limited, free = kv.Archive(), kv.Archive()
    limited.n_max = 12
    for slot in range(12):
        for archive in (limited, free):
            archive.add(*entries(torch, [[slot], [slot]]))
    room = [one.keys.untyped_storage().nbytes() // (2 * 4 * 4) for one in (limited, free)]
    assert room == [12, 16]
    assert torch.equal(limited.keys, free.keys)
