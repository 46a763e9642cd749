"""Widgets that know the library: photo grid, review queue, job panel."""
