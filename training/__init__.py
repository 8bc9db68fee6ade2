"""How the built-in `nano` model is made: pictures, network, training, calibration, scores. See README.md."""
