"""The web runtime: HTTP in, HTTP out. It decodes no pixel and runs no model."""
