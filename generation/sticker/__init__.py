"""The embedded sticker model: credited pictures, laid out in code, redrawn by a small diffusion model."""
