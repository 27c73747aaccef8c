"""How the sticker model is trained: pictures, text encoder, autoencoder, U-Net. Serving never imports this."""
