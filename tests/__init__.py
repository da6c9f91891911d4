"""Tests; the folders mirror those of meanfield."""
