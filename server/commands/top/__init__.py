"""`tureen top`."""
