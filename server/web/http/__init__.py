"""HTTP/1.1 connections: the rules they keep, and the two servers that parse what comes over them."""
