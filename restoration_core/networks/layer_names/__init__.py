"""What layers are called in networks of known build, and which of them a measure looks at."""
