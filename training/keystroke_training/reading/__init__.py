"""The layouts a file of typings may have."""
