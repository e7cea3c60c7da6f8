"""Do live images and answers still look like those the model was accepted with?

A worker looks at a sample of images (`features`, `looking`); the engine's process gathers the looks in windows and
compares each with the reference that is saved with the version (`reference`, `windows`, `monitor`).
"""
