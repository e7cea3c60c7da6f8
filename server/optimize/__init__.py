"""A model rewritten to run faster: a new version that answers the same, with its proof, or a reason why not."""
