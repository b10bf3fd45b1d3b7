"""What is kept of the documents on disk, and how it is brought up to date and read."""
