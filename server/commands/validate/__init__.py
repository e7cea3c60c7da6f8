"""`tureen validate`: is a model fit to be released? For pipelines: the exit code says it."""
