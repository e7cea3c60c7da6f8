"""The model repository: which models and versions there are, and which of them are to be served. Runs no model."""
