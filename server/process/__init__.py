"""What every process of the server has: logs, signals, CPUs and GPUs, and the control line from its parent."""
