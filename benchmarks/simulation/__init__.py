"""The real batcher on simulated machines in virtual time, against an oracle: `python -m benchmarks.simulation`."""
