"""Trains the head that ships: `python -m moderation.training --data FOLDER --out moderation/data`."""
