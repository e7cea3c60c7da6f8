"""`tureen spool`: what waits on its way to the store, and why; try again, copy it out, or give it up."""
