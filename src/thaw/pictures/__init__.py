"""From a picture file to 8-bit RGB: the formats that are read, and what becomes of depth and transparency."""
