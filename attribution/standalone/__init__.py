"""The script that goes into every evidence bundle; it imports nothing of Verso."""
