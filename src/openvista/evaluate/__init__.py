"""How good is a model: metrics, protocols, reports."""
