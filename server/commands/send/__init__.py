"""`tureen send`: photos to a server, answers to the terminal."""
