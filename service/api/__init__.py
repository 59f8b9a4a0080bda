"""HTTP and WebSocket endpoints, one file each, and what they share: upload, responses, schemas, authentication.

In: a request. Out: a JSON response, or problem details (RFC 9457) with a stable code.
May import: ``service.lifecycle``, ``service.video`` and whatever those may import.
"""
