"""The processes that train together: their devices, the place of each, its signs of life, why it ended."""
