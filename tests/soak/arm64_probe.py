"""What this machine makes of images: `python -m tests.soak.arm64_probe MODEL IMAGE...` prints it as JSON.

It needs no more than a worker does, so that it runs in an emulator.
"""

import hashlib
import json
import platform
import sys
from pathlib import Path

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.model import open_model
from server.models.card import find_model
from server.models.render import answerer


def main() -> int:
    model = open_model(find_model(Path(sys.argv[1])), 1)
    session, images = model.session, {}
    for path in map(Path, sys.argv[2:]):
        prepare(path.read_bytes(), session.slot_recipe, session.slots[0], Limits())
        tensor = hashlib.sha256(session.slots[0].tobytes()).hexdigest()
        images[path.name] = [tensor, answerer(model.output)([part[0] for part in session.run([0])]).decode()]
    print(json.dumps({"machine": platform.machine(), "images": images}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
