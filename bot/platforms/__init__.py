"""Chat platforms: each translates events to commands, and replies to messages."""
