"""`tureen models`: what a running server serves, and changing it."""
