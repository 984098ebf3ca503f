"""What only training needs: the pairs as tf.data, the layers, what watches the fit, and what is chosen after it."""
