"""Differences between the libraries' builds and releases, each smoothed over in one module."""
