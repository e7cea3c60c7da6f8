"""`tureen drift`: whether live images and answers still look like those of the reference."""
