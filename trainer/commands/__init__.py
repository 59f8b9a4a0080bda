"""The commands, one module for each kind; what they need is imported when they run."""
