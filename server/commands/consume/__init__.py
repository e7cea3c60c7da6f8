"""`tureen consume`: answer the images that a queue names, with workers of its own and without HTTP."""
