"""`tureen models golden record`: what a version answers to the golden images becomes what every version must answer."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from preprocess.errors import ImageError
from preprocess.header import read_header
from server.contract.errors import TaskError
from server.contract.task import ImageTask
from server.engine import Engine, EngineFailed
from server.models.card import MODEL_FILE
from server.repository.errors import RepositoryError
from server.repository.golden import Golden, pictures, write_golden
from server.settings import Settings
from server.settings.topics import WorkerSettings


def record(folder: Path, tolerance: float) -> str:
    """Run the model on its golden images and write their answers; what was done, for people.

    `folder`: NAME, or NAME/VERSION. Raises `RepositoryError`.
    """
    model = folder.parent if (folder / MODEL_FILE).is_file() else folder
    images = pictures(model)
    if not images:
        raise RepositoryError(f"{model / 'golden'}: put images there that a version must answer rightly")
    version, answers = asyncio.run(_answers(folder.resolve(), images))
    file = write_golden(model, Golden(answers, tolerance))
    return f"{file}: {len(answers)} answers of version {version}; check that they are right"


async def _answers(folder: Path, images: list[Path]) -> tuple[str, dict[str, dict[str, Any]]]:
    settings = Settings(model=folder, slo=60.0, worker=WorkerSettings(workers=1, threads=1))
    answers: dict[str, dict[str, Any]] = {}
    try:
        async with Engine(settings) as engine:
            metadata = await engine.wait_ready()
            for image in images:
                body = image.read_bytes()
                answer = await engine.submit(ImageTask(body, read_header(body, engine.limits)))
                answers[image.name] = msgspec.json.decode(b"{%b}" % answer.reply.members)
    except EngineFailed as error:
        raise RepositoryError(str(error)) from error
    except (ImageError, TaskError) as error:
        raise RepositoryError(f"{image}: {str(error) or type(error).__name__}") from error
    return metadata.version, answers
