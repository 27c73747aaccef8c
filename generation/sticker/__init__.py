"""The embedded sticker model: credited pictures are laid out in code and redrawn by a small diffusion model."""
