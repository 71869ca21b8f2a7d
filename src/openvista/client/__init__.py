"""Ask a server (``openvista serve``) from Python, without torch: ``pip install 'openvista[client]'``.

::

    from openvista.client import Client

    with Client("http://127.0.0.1:8000") as client:
        session = client.open(client.upload("ct.nii.gz"))
        session.segment(["liver", "spleen"])
        session.click((120, 88, 40), "liver", positive=False)
        session.save("ct_seg.nii.gz")
"""

from openvista.client.client import Client, RemoteScan
from openvista.client.session import RemoteObject, RemoteSession

__all__ = ["Client", "RemoteObject", "RemoteScan", "RemoteSession"]
"""Everything else in here is private."""
