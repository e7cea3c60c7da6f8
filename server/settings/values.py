"""What the value of a setting may be: how each kind is read, and what the help and the error texts call it."""

import ipaddress
import os
import re
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator

from server.settings.sampling_rule import read_rule
from server.units import COUNT, DURATION, NUMBER, PERIOD, PIXELS, SIZE, SWITCH, Kind, Number

HOST = Kind("HOST", "an IP address or a host name", "127.0.0.1, 0.0.0.0 or ::")
MODEL = Kind("PATH", "an .onnx file or a model folder, which must exist")
PROVIDER = Kind("NAME", "auto, cpu, cuda, or GPUs by index as in cuda:1, cuda:0,1 or cuda:all")
FOLDER = Kind("PATH", "a folder, which may not exist yet")
CACHE = Kind("WHERE", "memory, off, or the URL of a Redis server", "redis://127.0.0.1:6379/0")
MODELS = Kind("WHERE", "a folder of models, which must exist, or s3://BUCKET/PREFIX", "models/ or s3://ml/models")
STORE = Kind("WHERE", "a folder, or s3://BUCKET/PREFIX", "/var/lib/tureen/images or s3://photos/tureen")
STORE_POLICY = Kind("WHEN", "async or required")
RECORDS = Kind("HOW", "off or open")
REDACT = Kind("WHAT", "off, metadata or originals")
QUEUE = Kind("URL", "the URL of an SQS queue, or kafka://HOST:PORT/TOPIC", "https://sqs.eu-west-1.amazonaws.com/1/in")
HTTP_SERVER = Kind("NAME", "hypercorn, or uvicorn if its extra is installed (pip install 'tureen[uvicorn]')")
NETWORKS = Kind("LIST", "addresses and networks, separated by commas", "127.0.0.1 or 10.0.0.0/8,fd00::/8")
FILE = Kind("FILE", "a file, which must exist")
ANY_TEXT = Kind("TEXT", "a text")
TEXT = Kind("TEXT", "a text without spaces")
JWT_ALGORITHM = Kind("NAME", "RS256, PS256, ES256 or EdDSA")
GRPC_PORT = Kind("COUNT", "a number, with the extra grpc (pip install 'tureen[grpc]')", "8081")
ORIGINS = Kind("ORIGINS", "origins as browsers send them, or *", "https://example.com,http://localhost:3000")
OTLP = Kind(
    "URL",
    "an http, https, grpc or grpcs URL, if its extra is installed (pip install 'tureen[otel]')",
    "http://127.0.0.1:4318 or grpc://127.0.0.1:4317",
)
LOG_FILE = Kind("FILE", "a file in a folder that exists, or - for standard output")
RULE = Kind("RULE", "a share from 0 to 1, errors, slow, score<S, score>S or label=L, or several with commas")
SHARE = Number("SHARE", "a share", "0.01", whole=False)
PRECISION = Kind("NAME", "model, or fp16 if its extra is installed (pip install 'tureen[fp16]')")


def _read_host(given: object) -> str:
    # "" would mean every interface: nobody may open a server to the network by leaving a variable empty.
    if not isinstance(given, str) or not re.fullmatch(r"[^\s/]+", given):
        raise ValueError("that is neither")
    return given


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_path(given: object) -> Path:
    """Absolute, so that it means the same in every process; links are kept, so that "current" may be switched."""
    if not isinstance(given, str | Path) or not str(given):
        raise ValueError("that is no path")
    return Path(given).absolute()


def _read_model(given: object) -> str | None:
    if given is None:
        return None
    path = _read_path(given)
    if not os.path.exists(path):
        raise ValueError(f"there is no {path}")
    if path.suffix != ".onnx" and not os.path.isdir(path):
        raise ValueError("that file's name does not end in .onnx")
    return str(path)  # pydantic makes the Path, and refuses one where it reads JSON


def _read_folder(given: object) -> str | None:
    if given is None:
        return None
    path = _read_path(given)
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError("that is a file")
    return str(path)  # as above


def _read_file(given: object) -> str | None:
    if given is None:
        return None
    path = _read_path(given)
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {path}")
    return str(path)  # as above


def _read_text(given: object) -> object:
    if given is not None and (not isinstance(given, str) or not re.fullmatch(r"[!-~]{1,1000}", given)):
        raise ValueError("that is none")
    return given


def _read_optional_number(given: object) -> float | None:
    return None if given is None else float(NUMBER.read(given))


_PROVIDER = re.compile(r"auto|cpu|cuda(:(all|[0-9]{1,3}(,[0-9]{1,3})*))?")


def _read_provider(given: object) -> object:
    if not isinstance(given, str) or not _PROVIDER.fullmatch(given):
        raise ValueError("that is none of them")
    return given


def _read_http_server(given: object) -> object:
    if given == "uvicorn" and not (find_spec("uvicorn") and find_spec("httptools")):
        raise ValueError("it is not installed")
    return given


def _read_networks(given: object) -> object:
    if not isinstance(given, str):
        raise ValueError("that is no text")
    for one in filter(None, map(str.strip, given.split(","))):
        ip_network(one)
    return given


def _read_cache(given: object) -> object:
    if given in ("memory", "off"):
        return given
    if not isinstance(given, str) or not re.fullmatch(r"(redis|rediss|unix)://\S+", given):
        raise ValueError("that is none of them")
    if not (find_spec("redis") and find_spec("purgatory")):
        raise ValueError("its extra is not installed (pip install 'tureen[redis]')")
    return given


def _read_store(given: object) -> str:
    if given == "":
        return ""
    if isinstance(given, str) and "://" in given:
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]*)?", given):
            raise ValueError("that is neither")
        if not find_spec("boto3"):
            raise ValueError("its extra is not installed (pip install 'tureen[s3]')")
        return given
    return _read_folder(given) or ""


def _read_queue(given: object) -> str:
    if given == "":
        return ""
    if not isinstance(given, str) or not re.fullmatch(
        r"https?://[^\s/]+/\S+|kafka://[^\s/]+/[A-Za-z0-9._-]{1,249}", given
    ):
        raise ValueError("that is neither")
    library, extra = ("aiokafka", "kafka") if given.startswith("kafka:") else ("boto3", "sqs")
    if not find_spec(library):
        raise ValueError(f"its extra is not installed (pip install 'tureen[{extra}]')")
    return given


def _read_models(given: object) -> str:
    if isinstance(given, str) and "://" in given:
        return _read_store(given)
    if given == "":
        return ""
    folder = _read_folder(given)
    if folder is None or not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder}")
    return folder


def _read_optional_seconds(given: object) -> float | None:
    return None if given is None else PERIOD.read(given)


def _read_precision(given: object) -> object:
    if given == "fp16" and not find_spec("onnx"):
        raise ValueError("it is not installed")
    return given


def _read_grpc_port(given: object) -> float | None:
    port = _read_optional_count(given)
    if port is not None and not (find_spec("grpc") and find_spec("grpc_health") and find_spec("grpc_reflection")):
        raise ValueError("its extra is not installed")
    return port


def _read_origins(given: object) -> str:
    text = given.replace(" ", "") if isinstance(given, str) else "?"
    if not all(re.fullmatch(r"\*|https?://[^/\s,*?#@]+", origin) for origin in filter(None, text.split(","))):
        raise ValueError("that is none")
    return text


def _read_otlp(given: object) -> object:
    if given is None:
        return None
    if not isinstance(given, str) or not re.fullmatch(r"(https?|grpcs?)://[^\s/]+(/\S*)?", given):
        raise ValueError("that is none")
    if not (find_spec("opentelemetry") and find_spec("opentelemetry.proto") and find_spec("grpc")):
        raise ValueError("its extra is not installed (pip install 'tureen[otel]')")
    return given


def _read_log_file(given: object) -> str | None:
    if given is None or given == "-":
        return given
    path = _read_path(given)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}")
    return str(path)


def _read_rule(given: object) -> str:
    read_rule(str(given))
    return str(given)


def _read_optional_count(given: object) -> float | None:
    return None if given is None else COUNT.read(given)


def _read_optional_size(given: object) -> float | None:
    return None if given is None else SIZE.read(given)


Count: TypeAlias = Annotated[int, BeforeValidator(COUNT.read), COUNT]
Seconds: TypeAlias = Annotated[float, BeforeValidator(DURATION.read), DURATION]
Bytes: TypeAlias = Annotated[int, BeforeValidator(SIZE.read), SIZE]
Pixels: TypeAlias = Annotated[int, BeforeValidator(PIXELS.read), PIXELS]
OnOff: TypeAlias = Annotated[bool, BeforeValidator(SWITCH.read), SWITCH]
Host: TypeAlias = Annotated[str, BeforeValidator(_read_host), HOST]
Model: TypeAlias = Annotated[Path | None, BeforeValidator(_read_model), MODEL]
Folder: TypeAlias = Annotated[Path | None, BeforeValidator(_read_folder), FOLDER]
Provider: TypeAlias = Annotated[str, BeforeValidator(_read_provider), PROVIDER]
HttpServerName: TypeAlias = Literal["hypercorn", "uvicorn"]
HttpServer: TypeAlias = Annotated[HttpServerName | None, BeforeValidator(_read_http_server), HTTP_SERVER]
Networks: TypeAlias = Annotated[str, BeforeValidator(_read_networks), NETWORKS]
OptionalCount: TypeAlias = Annotated[int | None, BeforeValidator(_read_optional_count), COUNT]
GrpcPort: TypeAlias = Annotated[int | None, BeforeValidator(_read_grpc_port), GRPC_PORT]
Origins: TypeAlias = Annotated[str, BeforeValidator(_read_origins), ORIGINS]
OptionalBytes: TypeAlias = Annotated[int | None, BeforeValidator(_read_optional_size), SIZE]
Cache: TypeAlias = Annotated[str, BeforeValidator(_read_cache), CACHE]
StoreUrl: TypeAlias = Annotated[str, BeforeValidator(_read_store), STORE]
QueueUrl: TypeAlias = Annotated[str, BeforeValidator(_read_queue), QUEUE]
ModelsUrl: TypeAlias = Annotated[str, BeforeValidator(_read_models), MODELS]
StorePolicy: TypeAlias = Annotated[Literal["async", "required"], STORE_POLICY]
Records: TypeAlias = Annotated[Literal["off", "open"], RECORDS]
Redact: TypeAlias = Annotated[Literal["off", "metadata", "originals"], REDACT]
OptionalSeconds: TypeAlias = Annotated[float | None, BeforeValidator(_read_optional_seconds), PERIOD]
OptionalNumber: TypeAlias = Annotated[float | None, BeforeValidator(_read_optional_number), NUMBER]
ExistingFile: TypeAlias = Annotated[Path | None, BeforeValidator(_read_file), FILE]
AnyText: TypeAlias = Annotated[str, ANY_TEXT]
Text: TypeAlias = Annotated[str, BeforeValidator(_read_text), TEXT]
OptionalText: TypeAlias = Annotated[str | None, BeforeValidator(_read_text), TEXT]
JwtAlgorithm: TypeAlias = Annotated[Literal["RS256", "PS256", "ES256", "EdDSA"], JWT_ALGORITHM]
OtlpUrl: TypeAlias = Annotated[str | None, BeforeValidator(_read_otlp), OTLP]
LogFile: TypeAlias = Annotated[str | None, BeforeValidator(_read_log_file), LOG_FILE]
SamplingRule: TypeAlias = Annotated[str, BeforeValidator(_read_rule), RULE]
Share: TypeAlias = Annotated[float, BeforeValidator(SHARE.read), SHARE]
Precision: TypeAlias = Annotated[Literal["model", "fp16"], BeforeValidator(_read_precision), PRECISION]
