"""Widgets that know the library: photo gallery, tag editor, search box, answer grid, job panel."""
