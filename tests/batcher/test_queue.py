"""The waiting jobs in order, compared with a list that is sorted anew each time."""

from hypothesis import given
from hypothesis import strategies as st

from batcher.job import Job
from batcher.queue import WaitingQueue
from batcher.scheduling.dispatch import QueueView


def job(order, *, arrived=0.0, deadline=100.0, prep_s=0.0):
    """Give a job; the queue never touches its oneshot."""
    return Job(
        item=order, oneshot=None, arrived=arrived, deadline=deadline, urgency=0, prep_s=prep_s, size=0, order=order
    )


def queue_of(*jobs):
    """Give a queue that holds these."""
    queue = WaitingQueue()
    for each in jobs:
        queue.add(each)
    return queue


PLACES = st.tuples(st.integers(0, 7), st.sampled_from([1.0, 2.0, 3.0, float("inf")]))


@given(st.lists(PLACES), st.data())
def test_it_is_a_sorted_list(places, data):
    """Whatever goes in and out: urgency first, then deadline, then arrival."""
    model = [job((*place, number)) for number, place in enumerate(places)]
    queue = queue_of(*model)
    for gone in data.draw(st.lists(st.sampled_from(model), unique_by=id)) if model else []:
        queue.remove(gone)
        model.remove(gone)
    model.sort(key=lambda each: each.order)

    assert model == queue.first(len(model) + 1)
    assert len(model) == len(queue)


@given(st.lists(PLACES), PLACES, st.integers(-1, 20))
def test_a_position_counts_what_stands_before(places, place, number):
    """Exactly, also for one that is not inside."""
    orders = [(*each, index) for index, each in enumerate(places)]
    queue = queue_of(*map(job, orders))

    ahead = queue.before((*place, number))
    assert sum(order < (*place, number) for order in orders) == ahead.items


def test_the_first_stay_inside():
    """To look is not to take."""
    a, b, c = (job((0, 1.0, number)) for number in range(3))
    queue = queue_of(c, a, b)

    assert ([a, b], 3) == (queue.first(2), len(queue))


def test_what_is_taken_is_gone():
    """The rest stays, in order."""
    a, b, c = (job((0, 1.0, number)) for number in range(3))
    queue = queue_of(c, a, b)

    assert ([a, b], [c]) == (queue.take(2), queue.first(9))


def test_the_oldest_need_not_be_first():
    """Who has waited longest is found wherever it stands."""
    queue = queue_of(job((0, 1.0, 2), arrived=7.0), job((3, 1.0, 1), arrived=5.0))

    assert 5.0 == queue.oldest_arrival()


def test_an_empty_queue_has_no_oldest():
    """Nothing waits."""
    assert None is WaitingQueue().oldest_arrival()


def test_the_view_of_an_empty_queue():
    """There is nothing to say but that."""
    assert QueueView(0) == WaitingQueue().view(4)


def test_the_view_without_room():
    """Only how many wait."""
    assert QueueView(1) == queue_of(job((0, 1.0, 0))).view(0)


def test_the_view_of_those_that_fit():
    """The head's due time, the earliest, and the oldest arrival; jobs are due at their deadline less their cost."""
    head = job((0, 90.0, 3), deadline=90.0, prep_s=2.0, arrived=6.0)
    second = job((3, 30.0, 2), deadline=30.0, prep_s=1.0, arrived=5.0)
    beyond = job((5, 10.0, 1), deadline=10.0, arrived=1.0)

    assert QueueView(3, 88.0, 29.0, 5.0, (88.0, 29.0)) == queue_of(beyond, second, head).view(2)


@given(st.lists(PLACES), PLACES, st.integers(0, 30))
def test_the_cost_before_a_place_is_summed(places, place, served):
    """Exactly, also when some have been taken from the head."""
    model = [job((*each, number), prep_s=float(number)) for number, each in enumerate(places)]
    queue = queue_of(*model)
    taken = queue.take(served)
    left = [each for each in model if each not in taken]

    assert sum(each.prep_s for each in left if each.order < (*place, 0)) == queue.before((*place, 0)).prep_s


def test_some_of_those_behind_are_found():
    """The next and the last of the same urgency, and some between."""
    jobs = [job((3, float(number), 0)) for number in range(11)]
    queue = queue_of(*jobs, job((7, 0.0, 0)))

    assert [jobs[1], jobs[4], jobs[7], jobs[10]] == queue.behind((3, 0.5, 0), 4)
