"""A session: one scan, any number of objects, clicks and their masks, undo, and the file that keeps it all."""
