"""The parts of the house, each built from those before it; `bot.compose` puts them together."""
