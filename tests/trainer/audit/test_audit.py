"""Audit: known answers on made collections and on the shared ones."""
