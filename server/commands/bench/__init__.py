"""`tureen bench`: is the promise kept, and up to which rate?

It measures any server that takes an image by POST, from outside, over HTTP. Deciding and counting are plain
functions (`arrivals`, `stats`, `capacity`, `judge`); sending is in `client`, `loops` and `process`; what a
user sees is in `view`, `plots` and `page`. It imports nothing of the server but units and the CPUs' number.
"""
