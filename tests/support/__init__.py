"""What several rooms of tests need."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
