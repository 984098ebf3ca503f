"""The page on which predictions are looked at, corrected and saved as masks."""
