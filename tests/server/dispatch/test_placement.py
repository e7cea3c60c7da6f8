"""What `auto` comes to, and how much there is of what follows from it."""

import asyncio

import pytest

from server.cpus import usable_cpus
from server.dispatch.placement import Placement, settle


def settled(*asked, devices):
    return asyncio.run(asyncio.wait_for(settle(*asked, devices), 30))


@pytest.mark.parametrize("asked", ["cpu", "cuda"])
def test_what_is_asked_for_is_taken(tmp_path, asked):
    """Whether it can be used shows where it is opened."""
    assert Placement(asked, 2, "as asked") == settled(asked, 2, devices=tmp_path)


def test_auto_is_the_cpu_where_there_is_no_gpu(tmp_path):
    """Nothing is started to find out."""
    assert Placement("cpu", 0, "auto: there is no NVIDIA GPU here") == settled("auto", 0, devices=tmp_path)


def test_auto_is_the_cpu_where_the_gpu_cannot_be_used(tmp_path):
    """And says why: a process of its own has tried. No machine has a GPU of this number."""
    (tmp_path / "nvidia0").touch()

    place = settled("auto", 1023, devices=tmp_path)

    assert "cpu" == place.provider
    assert place.why.startswith("auto: the GPU cannot be used, ")
    assert len(place.why) > 60


def test_decoders_share_the_cpus():
    """At least one each."""
    place = Placement("cuda", 0, "")

    assert usable_cpus() == place.decoders(1)
    assert 1 == place.decoders(10_000)
