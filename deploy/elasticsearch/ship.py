"""Ships a prediction log to Elasticsearch: `python ship.py FILE URL [API_KEY]`. An example of ingest, made to be read.

    pip install elasticsearch
    curl -X PUT URL/_index_template/tureen -H 'Content-Type: application/json' -d @index-template.json
    python ship.py /var/log/tureen/predictions.json https://search:9200 KEY

Filebeat or Fluent Bit do the same with more options. A document's id is that of its image, so that a file shipped twice
is stored once. It keeps in FILE.offset how far it has come.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

INDEX = "logs-tureen.prediction-default"


def actions(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Give each line as an action of the bulk API."""
    for line in lines:
        document = json.loads(line)
        action = {"_op_type": "create", "_index": INDEX, "_source": document}
        if image := document["event"].get("id"):
            action["_id"] = image
        yield action


def ship(client: Elasticsearch, file: Path) -> int:
    """Send what is new in a file; gives the number of documents that were not there before."""
    kept = Path(f"{file}.offset")
    offset = int(kept.read_text()) if kept.exists() else 0
    if offset > file.stat().st_size:
        offset = 0  # it was rotated
    with file.open("rb") as opened:
        opened.seek(offset)
        lines = [line for line in opened if line.endswith(b"\n")]
    stored, errors = helpers.bulk(client, actions(lines), raise_on_error=False)
    failed = [error for error in errors if error["create"]["status"] != 409]  # 409: it is there already
    if failed:
        raise SystemExit(f"not taken: {failed[0]}")
    kept.write_text(str(offset + sum(map(len, lines))))
    return stored


def main() -> None:
    """Ship for ever, once per second."""
    file, url, *key = sys.argv[1:]
    client = Elasticsearch(url, api_key=key[0] if key else None)
    while True:
        ship(client, Path(file))
        time.sleep(1)


if __name__ == "__main__":
    main()
