"""What is done to finished pictures: upscaling, repairing faces, preparing data sets."""
