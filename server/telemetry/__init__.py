"""What is told to others about the requests that were answered: traces, the prediction log, the last minutes."""
