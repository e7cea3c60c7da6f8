"""Measurements of Tureen. Nothing here is shipped; every figure is compared with another of the same run."""
