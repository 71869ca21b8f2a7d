"""CT drawn from label maps: anatomy, tissue, scanner; for training, tests and teaching."""
