"""How wrong predictions were, and the margin for it."""

from batcher.margins import Margins


def taught(*errors, predicted=1.0, urgency=3):
    """Give margins that have seen these errors."""
    margins = Margins()
    for error in errors:
        margins.learn(urgency, predicted, error, 0.0)
    return margins


def test_before_enough_was_seen_it_is_a_tenth():
    """Of the predicted seconds, or what was seen if that is more."""
    assert [0.1, 0.5] == [taught().later_s(3, 1.0), taught(0.5).later_s(3, 1.0)]


def test_it_covers_nearly_all_errors():
    """All but one of two hundred were later by 0.02 s, that one by far more."""
    assert 0.02 == taught(*[0.02] * 199, 5.0).later_s(3, 1.0)


def test_old_errors_are_forgotten():
    """After 256 newer ones."""
    assert 0.01 == taught(*[5.0] * 50, *[0.01] * 256).later_s(3, 1.0)


def test_what_nobody_tests_is_forgotten_one_by_one():
    """From twice the predicted time after the last on, at most a hundred a second, the oldest first; no other kind."""
    margins = taught(*[5.0] * 3, *[0.5] * 40)
    margins.learn(0, 1.0, 7.0, 0.0)
    seen = []
    for moment in (1.9, 2.0, 2.001, 2.02, 2.04):
        margins.doubt(moment, 3, 1.0)
        seen.append(margins.later_s(3, 1.0))

    assert [5.0, 5.0, 5.0, 5.0, 0.5] == seen
    assert 7.0 == margins.later_s(0, 1.0)


def test_early_answers_need_no_margin():
    """And tell how much sooner an answer may come."""
    margins = taught(*[-0.25] * 50)

    assert (0.0, 0.25) == (margins.later_s(3, 1.0), margins.earlier_s(3, 1.0))


def test_near_and_far_and_each_urgency_have_their_own():
    """What overtaken or far predictions lack says nothing of others."""
    margins = taught(*[0.5] * 50)

    assert [0.5, 0.025, 0.1] == [margins.later_s(3, 1.0), margins.later_s(3, 0.25), margins.later_s(0, 1.0)]


def test_all_errors_are_counted():
    """By bounds, with their sum."""
    errors = taught(-3.0, 0.0, 0.5, 9.0).errors

    assert (4, 1, 1, 6.5) == (sum(errors.counts), errors.counts[0], errors.counts[-1], errors.sum_s)
