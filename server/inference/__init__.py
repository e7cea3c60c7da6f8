"""The inside of a worker process: decode into a slot, run a batch of slots, answer. Knows no HTTP."""
