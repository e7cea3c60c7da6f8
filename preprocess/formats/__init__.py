"""One module per format: the size of a picture and a check of the whole file. Standard library only, no pixels."""
