"""How the built-in `nano` model was made: assets, synthetic data, the model, training, evaluation. See README.md."""
