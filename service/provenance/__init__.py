"""Provenance: what a file says of where it comes from. It never has a say in the verdict."""
