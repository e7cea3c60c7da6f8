"""`tureen ab`: what an experiment has found."""
