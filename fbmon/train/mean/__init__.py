"""The mean over all blocks, the same to the last bit in any order; and the statistics of batch norm."""
