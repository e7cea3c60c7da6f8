"""What all ends say to each other: tasks, answers, errors, ids and frames. No process, no HTTP, no arithmetic."""
