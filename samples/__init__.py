"""Made photographs of made eyes, and the script that draws them."""
