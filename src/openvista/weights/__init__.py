"""Weights on disk: model folders with cards, official checkpoints, download.

Cards, the registry and the download need no torch. What does is in the modules ``files`` and ``official`` (checkpoint
files and their namings), ``store`` (save, load) and ``convert``.
"""

from openvista.weights.card import ModelCard, read_card, write_card
from openvista.weights.registry import ModelFolder, available_models, find_model, home_folder

__all__ = ["ModelCard", "ModelFolder", "available_models", "find_model", "home_folder", "read_card", "write_card"]
