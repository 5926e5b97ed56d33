"""Easel: a Stable Diffusion web UI, room by room."""
