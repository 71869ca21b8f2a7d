"""OpenVISTA as a MONAI bundle: a folder of configurations that MONAI's tools run, with our engine behind them.

``export`` writes the folder and ``read`` takes one apart; both need no MONAI. What the configurations name as
``_target_`` is in the other modules. Only ``evaluator`` imports MONAI when it is loaded, because MONAI's handlers want
an engine of MONAI's; :mod:`openvista.bundle.read` never evaluates what a configuration says.
"""
