"""The public data sets: how their folders are laid out, where they come from, what their files are."""
