"""The process that talks to S3 for a repository: `... s3_agent BUCKET PREFIX FOLDER [ENDPOINT]`.

botocore spends milliseconds of pure Python on a call, and the web process must stay prompt. So this process does it: a
request per line on its standard input, an answer per line on its standard output, JSON. It ends with its input.

A sync copies what is in the bucket down to FOLDER: each file to a temporary name, checked by size and digest, then
moved into place; `model.onnx` last, since a version is there when that is.
"""

import base64
import fcntl
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.process import signals
from server.repository.folder import is_name
from server.repository.store import STATE_FILE

_CONNECT_S, _READ_S, _ATTEMPTS = 2, 10, 3
_MISSING = ("404", "NoSuchKey", "NotFound")
_CONFLICT = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
_MD5 = re.compile(r"[0-9a-f]{32}")
_INDEX = ".index.json"

Answer = dict[str, Any]


class Damaged(Exception):
    """What came is not what is in the bucket."""


class Agent:
    """Its state is the index: the ETag of each file that was copied, kept beside the files."""

    def __init__(self, client: Any, bucket: str, prefix: str, folder: Path) -> None:  # noqa: ANN401 - boto has no types
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._folder = folder

    def answer(self, request: Answer) -> Answer:
        """Do what a request says."""
        try:
            match request["op"]:
                case "sync":
                    return {"copied": self.sync()}
                case "read":
                    return self.read(request["name"])
                case _:
                    return self.write(request["name"], base64.b64decode(request["data"]), request["tag"])
        except (ClientError, BotoCoreError, OSError, Damaged) as error:
            return {"error": " ".join(str(error).split())}

    def read(self, name: str) -> Answer:
        """The state of a model, and its tag."""
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
        except ClientError as error:
            if _code(error) in _MISSING:
                return {"data": "", "tag": ""}
            raise
        return {"data": base64.b64encode(found["Body"].read()).decode(), "tag": found["ETag"]}

    def write(self, name: str, data: bytes, tag: str) -> Answer:
        """Replace the state that has this tag."""
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        try:
            written = self._client.put_object(
                Bucket=self._bucket, Key=self._key(name), Body=data, ContentType="application/json", **condition
            )
        except ClientError as error:
            if _code(error) in _CONFLICT or (tag and _code(error) in _MISSING):
                return {"conflict": True}
            raise
        return {"tag": written["ETag"]}

    def sync(self) -> int:
        """Make the folder as the bucket is; how many files were copied."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            return self._mirror()

    def _mirror(self) -> int:
        before, there, copied = self._read_index(), dict(self._objects()), 0
        for name in sorted(there, key=lambda name: (name.endswith("/model.onnx"), name)):
            if before.get(name) != there[name] or not (self._folder / name).is_file():
                self._copy(name, there[name])
                copied += 1
        for name in before.keys() - there.keys():
            with suppress(OSError):
                (self._folder / name).unlink()
                (self._folder / name).parent.rmdir()  # of the last file alone
        if before != there:
            self._replace(_INDEX, json.dumps(there).encode())
        return copied

    def _objects(self) -> Iterator[tuple[str, str]]:
        """The files of models in the bucket, with their ETags. What could not be a file of a model is passed over."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for one in page.get("Contents", ()):
                name = one["Key"].removeprefix(self._prefix)
                parts = name.split("/")
                if len(parts) >= 2 and all(map(is_name, parts)) and parts[1:] != [STATE_FILE]:
                    yield name, one["ETag"]

    def _copy(self, name: str, etag: str) -> None:
        """Raises `Damaged`."""
        found = self._client.get_object(
            Bucket=self._bucket, Key=self._prefix + name, IfMatch=etag, ChecksumMode="ENABLED"
        )
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=".copy-", dir=target.parent)
        digest, size = hashlib.md5(usedforsecurity=False), 0
        try:
            with open(handle, "wb") as stream:
                for piece in found["Body"].iter_chunks(1 << 20):
                    stream.write(piece)
                    digest.update(piece)
                    size += len(piece)
                stream.flush()
                os.fsync(stream.fileno())
            _check(name, found, digest.hexdigest(), size)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}/{STATE_FILE}"

    def _read_index(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self._folder / _INDEX).read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self._folder / f".{name}-{os.getpid()}"
        temporary.write_bytes(data)
        os.replace(temporary, self._folder / name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Servers of one host share the folder."""
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _check(name: str, found: Answer, md5: str, size: int) -> None:
    """Size, and the ETag where that is the MD5: of an object that was put whole and is not encrypted with a key of KMS.
    boto has checked any other checksum that the object has."""
    if size != found["ContentLength"]:
        raise Damaged(f"{name}: {size} bytes came, {found['ContentLength']} are there")
    etag = found["ETag"].strip('"')
    if _MD5.fullmatch(etag) and "kms" not in found.get("ServerSideEncryption", "") and etag != md5:
        raise Damaged(f"{name}: its MD5 is {md5}; the bucket says {etag}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def main(argv: list[str]) -> int:
    """Answer requests until there are no more."""
    signals.ignore()
    bucket, prefix, folder, *endpoint = argv
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        request_checksum_calculation="when_required",  # newer default checksums break compatible servers
        response_checksum_validation="when_supported",
    )
    try:
        client = boto3.session.Session().client("s3", endpoint_url=endpoint[0] if endpoint else None, config=config)
    except (BotoCoreError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    agent = Agent(client, bucket, prefix, Path(folder))
    for line in sys.stdin:
        print(json.dumps(agent.answer(json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
