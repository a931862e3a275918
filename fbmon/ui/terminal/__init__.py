"""What every screen has of a terminal: its driver, its size, its end."""
