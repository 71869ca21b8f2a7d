import numpy as np

from openvista.geometry.components import component_near, components_at, label_components


def test_pieces_that_share_a_corner_are_one():
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    labels, count = label_components(mask)
    assert count == 2
    assert labels[0, 0, 0] == labels[1, 1, 1] != labels[3, 3, 3]


def test_the_nearest_piece_within_reach():
    labels = np.zeros((7, 7, 7), np.int32)
    labels[3, 3, 5], labels[2, 2, 2] = 1, 2
    assert component_near(labels, (3, 3, 5), 0) == 1
    assert component_near(labels, (3, 3, 3), 0) == 0
    assert component_near(labels, (3, 3, 3), 1) == 2  # in the first cube, although the other is as near by steps
    assert component_near(labels, (3, 3, 4), 2) == 1
    assert component_near(labels, (6, 6, 6), 2) == 0


def test_borders_are_no_trouble():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = True
    assert components_at(mask, [(2, 2, 2)], 2)[0, 0, 0]
    assert not components_at(mask, [(5, 0, 0), (-1, 0, 0)], 2).any()
    assert not components_at(np.zeros((0, 0, 0), bool), [(0, 0, 0)]).size
