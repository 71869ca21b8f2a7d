"""OpenVISTA as a MONAI bundle: a folder of configurations that MONAI's tools run, with our engine behind them.

``export`` writes the folder and ``read`` takes one apart; both need no MONAI. What the configurations name as
``_target_`` is in the other modules. Only ``evaluator`` and ``preparation`` import MONAI when they are loaded, because
MONAI's handlers want an engine of MONAI's, and its chains transforms; :mod:`openvista.bundle.read` never evaluates what
a configuration says.
"""
