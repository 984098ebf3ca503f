"""Made photographs of made eyes, and the script that draws them."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
