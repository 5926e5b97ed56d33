"""A1111's package of learned words."""
