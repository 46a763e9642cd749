"""What a person does with the app, in a real browser, against a real server."""
