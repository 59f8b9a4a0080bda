"""The same model behind other servers, each in an environment of its own (``NAME.lock``)."""
