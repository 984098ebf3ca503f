"""What training alone needs: pairs as tf.data, the layers, what watches the fit, what is chosen after it."""
