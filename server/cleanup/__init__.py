"""An image's life after its answer: the spool on disk, the store it goes to, and the process that carries it there."""
