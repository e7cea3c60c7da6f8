"""A new version reaches traffic by steps that can each fail safely.

`plan`, `evidence`, `guards`, `state` and `assignment` decide, from values alone; `steering` is what a process does.
"""
