"""A plain `run_batch` as the executor: one batch at a time, and whatever it does wrong harms that batch only."""

import asyncio

import pytest

from batcher import BatchFailed
from tests.fakes import GatedModel, all_blocked, new_batcher, pass_until, virtual_time


async def started(batcher, items):
    """Submit each item from a task of its own."""
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await all_blocked()
    return tasks


async def error_of(task):
    """Give the error a waiter gets."""
    with pytest.raises(BatchFailed) as error:
        await task
    return error.value


@virtual_time
async def test_each_item_gets_its_own_result():
    """Results are matched by place."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        tasks = await started(batcher, "abc")
        model.finish(0, [1, 2, 3])

        assert [1, 2, 3] == await asyncio.gather(*tasks)


@virtual_time
async def test_one_batch_runs_at_a_time():
    """What arrives meanwhile is the next batch."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        first = await started(batcher, "a")
        second = await started(batcher, "bc")
        before = list(model.batches)
        model.finish(0)
        await all_blocked()

        assert ([["a"]], [["a"], ["b", "c"]]) == (before, model.batches)
        model.finish(1)
        assert ["A", "B", "C"] == await asyncio.gather(*first, *second)


@virtual_time
async def test_a_batch_is_no_larger_than_the_policy_allows():
    """The rest waits for the next."""
    model = GatedModel()
    async with new_batcher(model, max_batch=2) as batcher:
        tasks = await started(batcher, "abc")
        model.finish(0)
        await all_blocked()
        model.finish(1)

        assert [["a", "b"], ["c"]] == model.batches
        await asyncio.gather(*tasks)


@virtual_time
async def test_the_profile_learns_from_what_a_batch_took():
    """By its size."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        await pass_until(2.0)
        tasks = await started(batcher, "ab")
        await pass_until(5.0)
        model.finish(0)
        await asyncio.gather(*tasks)

        assert ((2,), 3.0) == (batcher.cost_model.sizes, batcher.cost_model.run_s(2))


@virtual_time
async def test_what_it_raises_fails_the_batch():
    """Each waiter gets a fresh error, with the reason as its text and its cause."""
    model, reason = GatedModel(), ValueError("out of memory")
    async with new_batcher(model) as batcher:
        tasks = await started(batcher, "ab")
        model.fail(0, reason)

        errors = [await error_of(task) for task in tasks]
        assert ["out of memory", "out of memory"] == [str(error) for error in errors]
        assert [reason, reason] == [error.__cause__ for error in errors]
        assert errors[0] is not errors[1]
        assert () == batcher.cost_model.sizes


@virtual_time
async def test_an_error_without_text_is_named_by_its_type():
    """An empty message would say nothing."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        (task,) = await started(batcher, "a")
        model.fail(0, KeyError())

        assert "KeyError" == str(await error_of(task))


@pytest.mark.parametrize(
    ("results", "text"),
    [
        (["A"], "2 items gave 1 results"),
        ([], "2 items gave 0 results"),
        (["A", "B", "C"], "2 items gave 3 results"),
        (5, "object of type 'int' has no len()"),
    ],
)
@virtual_time
async def test_a_wrong_number_of_results_fails_the_batch(results, text):
    """Nobody can say whose answer is whose."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        tasks = await started(batcher, "ab")
        model.finish(0, results)

        assert [text, text] == [str(await error_of(task)) for task in tasks]
        assert (0, 2) == (batcher.stats().answered, batcher.stats().failed)


@virtual_time
async def test_results_that_break_off_fail_the_rest():
    """What was answered stays answered."""

    class Broken(list):
        def __iter__(self):
            yield "A"
            raise OSError("gone")

    model = GatedModel()
    async with new_batcher(model) as batcher:
        first, second = await started(batcher, "ab")
        model.finish(0, Broken(["A", "B"]))

        assert "A" == await first
        assert "gone" == str(await error_of(second))


@virtual_time
async def test_a_batch_cancelled_from_inside_fails():
    """A cancellation that nobody here asked for is no reason to hang."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        (task,) = await started(batcher, "a")
        model.cancel(0)

        error = await error_of(task)
        assert ("the batch was cancelled", None) == (str(error), error.__cause__)


@pytest.mark.parametrize(
    "end",
    [
        lambda model: model.fail(0, ValueError()),
        lambda model: model.finish(0, []),
        lambda model: model.cancel(0),
    ],
    ids=["raised", "miscounted", "cancelled"],
)
@virtual_time
async def test_after_a_failed_batch_the_next_one_runs(end):
    """One bad batch never reaches the next."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        (bad,) = await started(batcher, "a")
        (good,) = await started(batcher, "b")
        end(model)
        await error_of(bad)
        await all_blocked()
        model.finish(1)

        assert "B" == await good


@virtual_time
async def test_who_leaves_a_running_batch_harms_nobody():
    """The batch is left to finish, and its answer is dropped."""
    model = GatedModel()
    async with new_batcher(model) as batcher:
        leaver, stayer = await started(batcher, "ab")
        leaver.cancel()
        await all_blocked()
        model.finish(0)

        assert "B" == await stayer
        assert (1, {"running": 1}) == (batcher.stats().answered, batcher.stats().cancelled)
