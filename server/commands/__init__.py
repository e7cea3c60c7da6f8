"""The sub-commands of tureen other than serve."""
