"""A run in memory: all that its events tell, as series and as what a screen asks for."""
