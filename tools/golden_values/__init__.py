"""The families of golden values; see tools/golden.py."""
