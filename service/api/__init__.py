"""HTTP and WebSocket endpoints, one module each, and their shared code: upload, responses, schemas, authentication.

In: a request. Out: a JSON response, or problem details (RFC 9457) with a stable code.
May import: ``service.lifecycle``, ``service.video`` and everything those may import.
"""
