"""Making one checkpoint of two or three, weight by weight: none of them is held in memory."""
