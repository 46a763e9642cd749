"""What every page uses: theme, texts, URL state, the open library and its models."""
