"""`tureen keys`: the API keys of a server."""
