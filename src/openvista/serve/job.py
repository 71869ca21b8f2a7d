"""A command of ``openvista`` that ends with the server that started it: ``python -m openvista.serve.job COMMAND``."""

import runpy

from openvista.serve.parent import stop_with_parent

if __name__ == "__main__":
    stop_with_parent()
    runpy.run_module("openvista", run_name="__main__", alter_sys=True)
