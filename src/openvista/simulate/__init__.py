"""Simulated users: which prompts they would give. Shared by training and evaluation."""
