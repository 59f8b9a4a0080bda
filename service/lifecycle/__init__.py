"""From start-up to shutdown: the model that answers, who is admitted, reloading and draining.

In: settings, a loaded engine, signals. Out: the scorer that answers a request, and the permits to use it.
May import: ``service.inference``, ``service.observability``, ``service.settings`` and whatever those may import.
"""
