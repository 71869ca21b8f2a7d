"""A real Ray cluster on this machine: a head without room for workers, and two nodes with room for one each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

TESTS = Path(__file__).parents[1]
_STORE = 80 * 2**20


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    """The cluster; its workers find the packages and modules that the tests find."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS / "serve"), os.environ.get("PYTHONPATH", "")])
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=_STORE)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
