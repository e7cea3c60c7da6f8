"""`tureen models rollout`: a new version, step by step."""
