"""Charts on a screen: the board that holds them, its keys, the cursor, and what stands beside."""
