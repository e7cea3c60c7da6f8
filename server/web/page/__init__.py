"""The page at `/` for browsers: static files, no build step, nothing from another host."""
