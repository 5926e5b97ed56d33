"""From a prepared job to pictures: the loop around the samplers, and what may hook into it."""
