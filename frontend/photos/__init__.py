"""What the library pages share: one photo large, edits, exports."""
