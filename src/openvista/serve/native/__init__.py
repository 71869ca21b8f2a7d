"""Our own API, ``/api/v1``: what the web viewer and ``openvista.client`` speak."""
