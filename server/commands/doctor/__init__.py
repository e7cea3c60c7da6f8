"""`tureen doctor`."""
