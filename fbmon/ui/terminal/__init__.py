"""The terminal of every screen: its driver, its size, its end."""
