"""A queue as a way in: messages name images, and each is deleted once its answer is durable."""
