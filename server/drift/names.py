"""The features of a look, by name, in the order in which frames carry them."""

INPUTS = ("brightness", "contrast", "sharpness", "colourfulness", "size", "aspect")
OUTPUTS = ("score", "confidence", "entropy")
NAMES = (*INPUTS, *OUTPUTS)
"""NaN stands where there is nothing to see, such as the score of a model that gives none."""
