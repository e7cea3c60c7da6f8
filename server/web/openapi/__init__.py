"""What the HTTP resources are, as an OpenAPI document, and as a page for people."""
