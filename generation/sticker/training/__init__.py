"""How the sticker model is trained: pictures, text encoder, VAE, U-Net. Serving never imports this."""
