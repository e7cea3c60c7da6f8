"""How wrong predictions were, and the margin for it."""

import pytest

from batcher.scheduling.confidence import PredictionErrors


def taught(*errors, predicted=1.0, urgency=3, apart=0.25):
    """Give margins that have seen these errors, one after the other."""
    margins = PredictionErrors()
    for number, error in enumerate(errors):
        margins.learn(urgency, predicted, error, number * apart)
    return margins


def test_before_anything_was_seen_it_is_a_tenth():
    """Of the predicted seconds."""
    assert [0.1, 0.025] == [taught().later_s(3, 1.0), taught().later_s(3, 0.25)]


@pytest.mark.parametrize("error", [0.1, 0.5, 2.0])
def test_one_error_is_covered_at_once(error):
    """However far it is from what was imagined before."""
    assert error <= taught(error).later_s(3, 1.0) < 3 * error


def test_the_more_was_seen_the_less_is_left_to_chance():
    """Errors between -1 and 1 %: the margin comes down from a tenth to little more than they are."""
    errors = [0.01, -0.01] * 60
    margins = [taught(*errors[:count]).later_s(3, 1.0) for count in (0, 4, 16, 64, 120)]

    assert sorted(margins, reverse=True) == margins
    assert 0.01 < margins[-1] < 0.05


def test_what_came_early_says_nothing_of_how_late_others_come():
    """A third of them a little or far too early: the margin is that of the others."""
    a_little, far = ([*[0.01] * 20, *[early] * 10] for early in (0.0, -0.5))

    assert taught(*a_little).later_s(3, 1.0) == taught(*far).later_s(3, 1.0)


def test_a_percentile_of_many():
    """All but one of two hundred were later by 0.02 s, that one by far more."""
    assert 0.02 == taught(*[0.02] * 199, 5.0).later_s(3, 1.0, 0.01)


def test_those_of_one_batch_are_one_sample_the_worst():
    """And so are all that come within an eighth of the predicted time."""
    batches = taught(*[0.02, 0.5, 0.02] * 60, apart=0.03)

    assert 0.5 == batches.later_s(3, 1.0) - taught(*[0.5] * 36).later_s(3, 1.0) + 0.5


def test_who_may_be_late_more_often_needs_less():
    """A chance of a tenth instead of a hundredth, with few errors and with many."""
    few, many = taught(*[0.01, -0.01] * 5), taught(*[0.01] * 120, *[0.05] * 16)

    assert few.later_s(3, 1.0, 0.1) < few.later_s(3, 1.0, 0.01)
    assert [0.01, 0.05] == [many.later_s(3, 1.0, 0.2), many.later_s(3, 1.0, 0.01)]


def test_old_errors_are_forgotten():
    """After 256 newer ones."""
    assert 0.01 == taught(*[5.0] * 50, *[0.01] * 256).later_s(3, 1.0)


def test_what_nobody_tests_is_forgotten_one_by_one():
    """From twice the predicted time after the last on, at most a hundred a second, the oldest first; no other kind."""
    margins = taught(*[5.0] * 3, *[0.5] * 140)
    last = 142 * 0.25
    margins.learn(0, 1.0, 7.0, last)
    seen = []
    for moment in (1.9, 2.0, 2.001, 2.02, 2.04):
        margins.decay(last + moment, 3, 1.0)
        seen.append(margins.later_s(3, 1.0))

    assert [5.0, 5.0, 5.0, 5.0, 0.5] == seen
    assert margins.later_s(0, 1.0) > 7.0


def test_early_answers_need_no_margin():
    """And tell how much sooner an answer may come."""
    margins = taught(*[-0.25] * 50)

    assert (0.0, 0.25) == (margins.later_s(3, 1.0), margins.earlier_s(3, 1.0))


def test_near_and_far_and_each_urgency_have_their_own():
    """What preempted or far predictions lack says nothing of others."""
    margins = taught(*[0.5] * 150)

    assert [0.5, 0.025, 0.1] == [margins.later_s(3, 1.0), margins.later_s(3, 0.25), margins.later_s(0, 1.0)]


def test_all_errors_are_counted():
    """By bounds, with their sum."""
    errors = taught(-3.0, 0.0, 0.5, 9.0).histogram

    assert (4, 1, 1, 6.5) == (sum(errors.counts), errors.counts[0], errors.counts[-1], errors.sum_s)
