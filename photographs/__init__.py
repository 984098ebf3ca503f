"""One photograph: read, its field of view, its square, its quality, and what its vessels measure."""
