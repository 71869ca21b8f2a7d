"""Fine-tuning: a recipe for somebody's own cases, made from their data list and a model."""
