"""`tureen optimize`: a new version of a model that is faster and answers the same."""
