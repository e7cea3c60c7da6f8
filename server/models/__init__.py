"""What a model is, without running it: where it lies, its card, its signature, what is made of its outputs."""
