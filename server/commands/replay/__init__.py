"""`tureen replay`: stored images through another model, and what it answers differently."""
