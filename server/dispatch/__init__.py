"""From an upload to its answer, without HTTP: intake, queue, worker processes and the wire between."""
