"""Weights on disk: model folders with cards, official checkpoints, download.

Cards and the registry need no torch. What does is in the modules ``store`` (save, load), ``convert`` (official
checkpoints) and ``download``.
"""

from openvista.weights.card import ModelCard, read_card, write_card
from openvista.weights.registry import ModelFolder, available_models, find_model, home_folder

__all__ = ["ModelCard", "ModelFolder", "available_models", "find_model", "home_folder", "read_card", "write_card"]
