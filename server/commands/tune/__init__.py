"""tureen tune: measure layouts, show them, save a profile."""
