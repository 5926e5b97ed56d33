"""Pictures as plain arrays and Pillow images: reading them safely, masks, resizing, blending."""
