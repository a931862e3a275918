"""The processes of a training, one a rank: which they are, how they start, whether they move, why they ended."""
