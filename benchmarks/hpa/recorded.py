"""What one pod does at a load, as a real server did it; kept beside this file, and read between its points."""

import json
from bisect import bisect_left
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Point:
    """A steady load. `offered`: of the most that the server answered; `load`: what the autoscaler's metric was;
    `answered`: share of the images; `late`: share of the admitted that came after the deadline."""

    offered: float
    load: float
    answered: float
    late: float
    p99_ms: float


@dataclass(frozen=True)
class Recording:
    """`capacity`: images per second; `start_s`: from the start of the process to its readiness."""

    capacity: float
    start_s: float
    slo_ms: float
    points: tuple[Point, ...]

    def at(self, offered: float) -> Point:
        """Between the points by straight lines; beyond the last one the answered images stay as many."""
        if offered >= self.points[-1].offered:
            last = self.points[-1]
            more = offered / last.offered
            return Point(offered, last.load * more, last.answered / more, last.late, last.p99_ms)
        right = max(1, bisect_left(self.points, offered, key=lambda point: point.offered))
        low, high = self.points[right - 1], self.points[right]
        share = (offered - low.offered) / (high.offered - low.offered)
        values = (one + share * (other - one) for one, other in zip(_values(low), _values(high), strict=True))
        return Point(*values)


def _values(point: Point) -> tuple[float, ...]:
    return point.offered, point.load, point.answered, point.late, point.p99_ms


def read(path: Path = FILE) -> Recording:
    """The recording in a file."""
    document = json.loads(path.read_text())
    points = (Point(0, 0, 1, 0, 0), *(Point(**one) for one in document.pop("points")))
    return Recording(points=points, **document)


def write(recording: Recording, path: Path = FILE) -> None:
    """Keep it, without the point at rest."""
    document = asdict(recording)
    document["points"] = [{key: round(value, 5) for key, value in one.items()} for one in document["points"]]
    path.write_text(json.dumps(document, indent=1) + "\n")
