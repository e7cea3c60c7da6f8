"""The mathematics of a batcher: numbers in, decisions out.

* `batch_profile`, `service_time`: how long work takes, learned from samples; one frozen `CostModel` at a time.
* `completion`: when a job at a given place finishes, and which waiting jobs will be tardy.
* `confidence`: how wrong completion times have been, and the margin that follows.
* `admission`: accept or refuse. `dispatch`: which batch now, or wait, or drop.

No clock, no event loop, nothing of the rest of `batcher`: every function can be tested as a table of numbers.
"""
