"""Measures the sticker model: fixed prompts, figures from pixels, the sheet for the eye, the report."""
