"""The container image: built from the shipped file, and run as strictly as an orchestrator would."""

import io
import json

import pytest
from PIL import Image

from tests.deploy.container import IMAGE, ROOT, Podman
from tests.photos import photo

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    podman = Podman(tmp_path_factory.mktemp("podman"))
    podman.build()
    return podman


def test_image_runs_as_nobody_and_says_how_it_is(podman):
    """A user by number, SIGTERM to end, a health check that needs no shell."""
    image = json.loads(podman("image", "inspect", IMAGE).stdout)[0]
    config = image["Config"]

    assert ("10001:10001", ["tureen"]) == (config["User"], config["Entrypoint"])
    assert "CMD" == image["Healthcheck"]["Test"][0]


def test_it_serves_on_a_read_only_root_and_ends_on_sigterm_as_pid_1(podman):
    """No capability, no new privilege, 512 MB: an image is answered, the health check passes, the exit code is 0."""
    with podman.running("--memory=512m", "--pids-limit=128") as container:
        container.wait_ready()
        answer = container.post(photo(1))
        healthy = podman("healthcheck", "run", container.name, check=False).returncode
        podman("stop", "-t", "60", container.name)
        ended = container.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}")

    assert "colourfulness" == answer["model"]["name"]
    assert (0, "0 false") == (healthy, ended)


def test_the_small_profile_decodes_its_largest_image_in_512_mb(podman):
    """12 megapixels in the format whose decoding takes the most; nothing is killed."""
    out = io.BytesIO()
    Image.effect_noise((400, 300), 60).convert("RGB").resize((4000, 3000)).save(out, "WEBP", quality=30, method=0)
    profile = f"--volume={ROOT / 'deploy' / 'edge'}:/profile:ro"
    with podman.running(
        "--memory=512m",
        "--memory-swap=512m",
        profile,
        command=("serve", "--config", "/profile/small.toml", "--slo", "60s"),
    ) as container:
        container.wait_ready()
        answer = container.post(out.getvalue())
        killed = container.inspect("{{.State.OOMKilled}}")

    assert ("colourfulness", "false") == (answer["model"]["name"], killed)


@pytest.mark.parametrize(("cpus", "workers"), [("0.5", "1 x 1 thread"), ("1", "1 x 1 thread")])
def test_workers_follow_the_quota_not_the_machine(podman, cpus, workers):
    """Half a CPU has one worker with one thread, whatever the host has."""
    with podman.running(f"--cpus={cpus}") as container:
        log = container.wait_ready()
        answer = container.post(photo(1))

    assert f"workers   {workers}" in log
    assert 0 < answer["timing"]["total"]


def test_death_of_its_supervisor_ends_the_container(podman):
    """PID 1 is the supervisor: killed, it leaves nothing that holds the port."""
    with podman.running() as container:
        container.wait_ready()
        podman("kill", "--signal=KILL", container.name)
        podman("wait", container.name)
        code = container.inspect("{{.State.ExitCode}}")

    assert "137" == code
