"""`tureen doctor` finds what is planted, and nothing else."""

import datetime
import socket
from contextlib import closing

import pytest
import trustme

from server.commands.doctor.command import diagnose, run
from server.commands.doctor.machine import Machine, measure
from server.settings import load_settings

WELL = Machine(65536, 8 << 30, 8, False, 2e9, 1.9e9)
ABOUT = {
    "few open files": "open files",
    "little memory": "memory",
    "more workers than CPUs": "workers",
    "a GPU that is not there": "GPU",
    "a clock of 1970": "clock",
    "a model that is empty": "model",
    "a store on a disk that is too small": "spool",
    "a certificate that ends tomorrow": "certificate",
    "a key that others may read": "certificate",
    "a port that is taken": "port",
    "a cache that is away": "cache",
    "a collector that is away": "traces",
    "no time to drain": "shutdown",
    "open to everybody": "access",
}


def planted(name, folder):
    """Give the facts and the words of a command line with one thing wrong."""
    match name:
        case "few open files":
            return WELL._replace(open_files=256), []
        case "little memory":
            return WELL._replace(memory=256 << 20), []
        case "more workers than CPUs":
            return WELL, ["--workers", "16"]
        case "a GPU that is not there":
            return WELL, ["--provider", "cuda"]
        case "a clock of 1970":
            return WELL._replace(now_s=1e6), []
        case "a model that is empty":
            (folder / "m.onnx").touch()
            return WELL, [str(folder / "m.onnx")]
        case "a store on a disk that is too small":
            return WELL, ["--store", str(folder / "store"), "--spool-bytes", "900000GB"]
        case "a certificate that ends tomorrow":
            return WELL, certified(folder, days=1)
        case "a key that others may read":
            return WELL, certified(folder, mode=0o644)
        case "a cache that is away":
            return WELL, ["--cache", "redis://127.0.0.1:9/0"]
        case "a collector that is away":
            return WELL, ["--otlp-endpoint", "http://127.0.0.1:9"]
        case "no time to drain":
            return WELL, ["--drain-delay", "30s"]
        case "open to everybody":
            return WELL, ["--host", "0.0.0.0", "--admin-port", "0"]
    raise AssertionError(name)


def certified(folder, days=90, mode=0o600):
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = trustme.CA().issue_cert("localhost", not_after=ends)
    for name, blob in (("cert", certificate.cert_chain_pems[0]), ("key", certificate.private_key_pem)):
        blob.write_to_path(folder / name)
        (folder / name).chmod(mode)
    return ["--tls-cert", str(folder / "cert"), "--tls-key", str(folder / "key")]


def found(facts, words):
    return diagnose(load_settings(["--port", "0", *words], {}), facts)


@pytest.mark.parametrize("name", [name for name in ABOUT if name != "a port that is taken"])
def test_a_planted_mistake_is_found_alone(name, tmp_path):
    """With what is wrong and what to do."""
    (finding,) = found(*planted(name, tmp_path))

    assert ABOUT[name] == finding.about
    assert finding.found
    assert finding.advice


def test_a_port_that_is_taken_is_found():
    """Before the server tries."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        (finding,) = found(WELL, ["--port", str(taken.getsockname()[1])])

    assert "port" == finding.about


def test_a_good_machine_has_nothing_wrong(tmp_path):
    """With a store, a certificate and a prediction log, too."""
    words = [*certified(tmp_path), "--store", str(tmp_path / "store"), "--spool-bytes", "1kB"]

    assert [] == found(WELL, [*words, "--prediction-log", str(tmp_path / "log")])


def test_this_machine_is_measured():
    """The clock is right, and something may be opened."""
    facts = measure()

    assert facts.open_files > 64
    assert facts.now_s > facts.newest_file_s - 86400
    assert facts.memory > 1 << 28
    assert facts.cpus >= 1


def test_the_exit_code_says_whether_anything_is_wrong(capsys, tmp_path):
    """What it prints says what to do."""
    (tmp_path / "m.onnx").touch()

    assert 1 == run(["--port", "0", str(tmp_path / "m.onnx")])
    assert "is empty\n  do: export or copy it again\n" in capsys.readouterr().out
