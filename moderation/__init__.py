"""Screening: policy, rules, decisions and reviews."""
