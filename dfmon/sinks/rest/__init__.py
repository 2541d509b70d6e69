"""The HTTP interface: REST, server-sent events and WebSocket, by FastAPI and uvicorn on the market's loop.

`rest_service` is the sink, `access` and `connections` are its gate, `published` has the bodies that are encoded once a
tick, and `*_routes` are the routes over one `Service`.
"""
