"""What can be named: the official classes, a model's own, and how users spell them.

``catalogue`` reads the facts from ``classes.csv``, ``spelling`` says when two spellings mean the same, ``vocabulary``
answers users; ``colours`` and ``sides`` (left and right) stand beside them. ``ctmr`` has the classes of the models for
CT and MR. Imports nothing heavy.
"""

from openvista.anatomy.catalogue import CATALOGUE, AnatomyClass
from openvista.anatomy.vocabulary import Vocabulary, official_vocabulary

__all__ = ["CATALOGUE", "AnatomyClass", "Vocabulary", "official_vocabulary"]
