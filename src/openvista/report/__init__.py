"""What people look at: the table of structures and the preview picture."""
