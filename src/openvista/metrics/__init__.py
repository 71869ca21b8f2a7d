"""Measures of how well two masks agree: overlap, volumes, distances between surfaces."""
