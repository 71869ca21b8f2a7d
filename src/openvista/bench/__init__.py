"""``openvista bench``: ours and the peer, MONAI's pipeline with its own network, measured side by side on one machine.

Nothing else in the package needs this; it may use everything but the command line.
"""
