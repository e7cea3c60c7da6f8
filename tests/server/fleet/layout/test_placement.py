"""What `auto` comes to, and how much there is of what follows from it."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
import structlog

from server import demo
from server.fleet.layout import profile as file
from server.fleet.layout.choose import Layout, LayoutRequest, Row, full
from server.fleet.layout.machine import key_for
from server.fleet.layout.placement import (
    LayoutChoice,
    LayoutPlan,
    LayoutSettings,
    Placement,
    beside_a_gpu,
    beside_gpus,
    decoders,
    from_profile,
    lay_out,
    resolve_device,
    scaled_to_gpu,
)
from server.models.card import find_model
from server.models.digest import digest
from server.process.cpus import usable_cpus


def settled(*asked, devices):
    provider, *indices = asked
    return asyncio.run(asyncio.wait_for(resolve_device(provider, tuple(indices), devices), 30))


@pytest.mark.parametrize("asked", ["cpu", "cuda"])
def test_what_is_asked_for_is_taken(tmp_path, asked):
    """Whether it can be used shows where it is opened."""
    assert Placement(asked, 2, "as configured") == settled(asked, 2, devices=tmp_path)


def test_several_gpus_are_taken_as_they_are_named(tmp_path):
    """The first is where one is enough."""
    assert Placement("cuda", 2, "as configured", (2, 0)) == settled("cuda", 2, 0, devices=tmp_path)


def test_all_gpus_of_a_machine_without_a_driver_are_none(tmp_path):
    """The first worker says why: it is never the CPU silently."""
    place = settled("cuda", devices=tmp_path)

    assert ("cuda", 0, ()) == (place.provider, place.device, place.devices)


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "workers", "spare", "why"),
    [
        (LayoutRequest(), 16, 1, 2, 1, "two for a GPU"),
        (LayoutRequest(), 16, 4, 8, 7, "2 for each of 4 GPUs"),
        (LayoutRequest(), 8, 4, 4, 3, "1 for each of 4 GPUs"),
        (LayoutRequest(workers=3), 16, 2, 3, 0, "as configured"),
    ],
)
def test_each_gpu_has_workers_of_its_own(asked, cpus, gpus, workers, spare, why):
    """They share the CPUs."""
    assert LayoutChoice(Layout(workers, 1), 0, why, in_turn=True, spare=spare) == beside_gpus(asked, cpus, gpus)


def test_each_gpu_gets_as_many_workers_as_feed_it():
    """By what the first one measured of its own."""
    two = beside_gpus(LayoutRequest(), 16, 2)

    assert (8, 7) == (scaled_to_gpu(two, 7_000, 16, 2).layout.workers, scaled_to_gpu(two, 7_000, 16, 2).spare)
    assert two == scaled_to_gpu(two, 1_000, 16, 2)


def test_auto_is_the_cpu_where_there_is_no_gpu(tmp_path):
    """Nothing is started to find out."""
    assert Placement("cpu", 0, "auto: no NVIDIA GPU found") == settled("auto", 0, devices=tmp_path)


def test_auto_is_the_cpu_where_the_gpu_cannot_be_used(tmp_path):
    """And says why: a process of its own has tried. No machine has a GPU of this number."""
    (tmp_path / "nvidia0").touch()

    place = settled("auto", 1023, devices=tmp_path)

    assert "cpu" == place.provider
    assert place.why.startswith("auto: GPU 1023 is unusable: ")
    assert len(place.why) > 60


def test_decoders_share_the_cpus():
    """At least one each."""
    assert usable_cpus() == decoders(1)
    assert 1 == decoders(10_000)


# ---- Layouts ----

CPU, GPU = Placement("cpu", 0, ""), Placement("cuda", 0, "")
ROWS = (
    Row(workers=2, threads=1, batch=4, rate=50, batch_s=0.15, lone_s=0.04),
    Row(workers=1, threads=2, batch=1, rate=40, batch_s=0.025, lone_s=0.025),
)


def wanted(workers=None, threads=None, profiles=Path("/nowhere"), slo_s=1.0, max_batch=8):
    return LayoutSettings(LayoutRequest(workers, threads), demo.FOLDER, profiles, slo_s, max_batch)


def laid_out(wanted, place=CPU):
    """The plan, and the events that were logged."""
    with structlog.testing.capture_logs() as logged:
        return asyncio.run(asyncio.wait_for(lay_out(wanted, place), 30)), logged


@pytest.fixture
def profiles(tmp_path):
    """A folder with a profile of the demo model, as tureen tune leaves it."""
    key = key_for(digest(find_model(demo.FOLDER).model_file), "cpu")
    file.write(tmp_path, file.Profile(name="demo", when="2026-11-25T16:00:00+00:00", key=key, rows=ROWS))
    return tmp_path


def test_what_is_asked_for_needs_no_measuring():
    """Both given: nothing is looked for, and nothing is tried."""
    assert (LayoutPlan(LayoutChoice(Layout(3, 2), 0, "as configured")), []) == laid_out(wanted(3, 2))


def test_with_nothing_known_the_layouts_that_use_all_cpus_are_to_be_tried():
    """The workers for the first of them are started."""
    plan, _ = laid_out(wanted(workers=1, slo_s=0.3))

    assert (None, full(usable_cpus(), LayoutRequest(workers=1)), 0.3) == (plan.decision, plan.layouts, plan.slo_s)
    assert 1 == plan.workers


def test_one_layout_needs_no_trial():
    """As many workers as CPUs leave each of them one thread."""
    plan, _ = laid_out(wanted(workers=usable_cpus()))

    assert LayoutPlan(LayoutChoice(Layout(usable_cpus(), 1), 0, "as configured")) == plan


def test_on_a_gpu_nothing_is_measured():
    """It is told by the CPUs beside it."""
    assert beside_a_gpu(LayoutRequest(), usable_cpus()) == laid_out(wanted(threads=4), GPU)[0].decision


@pytest.mark.parametrize(
    ("asked", "cpus", "workers", "spare", "why"),
    [
        (LayoutRequest(), 16, 2, 1, "two for a GPU"),
        (LayoutRequest(threads=4), 4, 2, 1, "two for a GPU"),
        (LayoutRequest(), 3, 1, 0, "one for a GPU, with 3 CPUs to decode"),
        (LayoutRequest(workers=1), 16, 1, 0, "as configured"),
        (LayoutRequest(workers=5), 2, 5, 0, "as configured"),
    ],
)
def test_beside_a_gpu_there_are_two_workers_where_cpus_are_there_for_them(asked, cpus, workers, spare, why):
    """Each of one thread: the GPU computes. They open the model in turn; one that nobody asked for is spare."""
    assert LayoutChoice(Layout(workers, 1), 0, why, in_turn=True, spare=spare) == beside_a_gpu(asked, cpus)


@pytest.mark.parametrize(
    ("rate", "cpus", "workers"),
    [
        (950, 16, 2),  # for safety
        (3_200, 16, 2),
        (3_201, 16, 3),
        (7_300, 16, 4),
        (7_300, 7, 3),  # two CPUs each
        (7_300, 4, 2),
        (7_300, 2, 1),
    ],
)
def test_a_gpu_gets_as_many_workers_as_it_takes_to_decode_for_it(rate, cpus, workers):
    """1,600 images/s are what one decodes. All but one are spare: there may be no memory for them."""
    found = scaled_to_gpu(beside_a_gpu(LayoutRequest(), cpus), rate, cpus)

    assert (Layout(workers, 1), workers - 1, True) == (found.layout, found.spare, found.in_turn)
    assert ("images/s" in found.why) == (workers > 2)


@pytest.mark.parametrize(
    "decision",
    [
        beside_a_gpu(LayoutRequest(workers=1), 16),
        beside_a_gpu(LayoutRequest(workers=2), 16),
        LayoutChoice(Layout(2, 1), 0, ""),
    ],
)
def test_workers_that_were_asked_for_or_compute_on_cpus_stay_as_many(decision):
    """However fast the model is."""
    assert decision is scaled_to_gpu(decision, 50_000, 16)


def test_profile_decides(profiles):
    """Layout and batch; the reason names its date."""
    plan, logged = laid_out(wanted(profiles=profiles))

    assert (LayoutPlan(LayoutChoice(Layout(2, 1), 4, "from the profile of 2026-11-25")), []) == (plan, logged)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"workers": 1}, (Layout(1, 2), 1)),
        ({"threads": 1}, (Layout(2, 1), 4)),
        ({"slo_s": 0.2}, (Layout(1, 2), 1)),
        ({"max_batch": 2}, (Layout(1, 2), 1)),
        ({"workers": 3}, None),
    ],
)
def test_profile_decides_what_is_left_open(how, expected):
    """Within the promise and the bound of this start, not of that measurement."""
    profile = file.Profile(name="m", when="2026-11-25", key=key_for("ab", "cpu"), rows=ROWS)

    decision = from_profile(profile, wanted(**how))

    assert expected == (decision and (decision.layout, decision.batch))


@pytest.mark.parametrize(
    ("made_for", "how", "used"),
    [({}, {}, True), ({}, {"workers": 2}, True), ({"workers": 2}, {}, False), ({"workers": 2}, {"workers": 2}, True),
     ({"threads": 1}, {"workers": 2}, False)],
)  # fmt: skip
def test_profile_of_some_layouts_counts_only_for_who_asks_for_those(made_for, how, used):
    """What `tureen tune --workers 2` did not look at may be better."""
    profile = file.Profile(name="m", when="2026-11-25", key=key_for("ab", "cpu"), rows=ROWS, **made_for)

    assert used == bool(from_profile(profile, wanted(**how)))


@pytest.mark.parametrize(("asked", "workers"), [({}, 2), ({"workers": 1}, 1), ({"threads": 1}, 2)])
def test_profile_made_for_what_is_asked_goes_before_the_general_one(profiles, asked, workers):
    """Each server takes its own, and the general one where there is none."""
    (general,) = profiles.iterdir()
    key = msgspec.json.decode(general.read_bytes(), type=file.Profile).key
    own = Row(workers=1, threads=1, batch=2, rate=9, batch_s=0.2, lone_s=0.1)
    file.write(profiles, file.Profile(name="demo", when="2026-11-26", key=key, workers=1, rows=(own,)))

    decision = laid_out(wanted(**asked, profiles=profiles))[0].decision

    assert (workers, {1: "2026-11-26", 2: "2026-11-25"}[workers]) == (decision.layout.workers, decision.why[-10:])


def test_damaged_profile_of_what_is_asked_leaves_the_general_one(profiles):
    """And is reported."""
    (general,) = profiles.iterdir()
    general.with_stem(f"{general.stem}-workers-1").write_text("{}")

    plan, logged = laid_out(wanted(workers=1, profiles=profiles))

    assert LayoutChoice(Layout(1, 2), 1, "from the profile of 2026-11-25") == plan.decision
    assert ["profile_ignored"] == [line["event"] for line in logged]


def test_stale_profile_is_ignored_and_one_line_says_why(profiles):
    """It was measured with another number of CPUs."""
    (path,) = profiles.iterdir()
    changed = json.loads(path.read_text())
    changed["key"]["cpus"] = 999
    path.write_text(json.dumps(changed))

    plan, logged = laid_out(wanted(profiles=profiles))

    assert plan.decision is None or "profile" not in plan.decision.why
    assert ["profile_ignored"] == [line["event"] for line in logged]
    assert logged[0]["reason"] == f"{path} was measured elsewhere: cpus is 999 there and {usable_cpus()} here"


def test_profile_of_another_model_is_none(profiles):
    """Nor is it worth a line."""
    (path,) = profiles.iterdir()
    path.rename(profiles / "other-cpu.json")

    plan, logged = laid_out(wanted(profiles=profiles))

    assert not (plan.decision and "profile" in plan.decision.why)
    assert [] == logged
