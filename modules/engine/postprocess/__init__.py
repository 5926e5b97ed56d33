"""What happens to finished pictures: upscaling and the repair of faces."""
