"""What a user says by name of the classes of a fine-tune: some swap sides, are limited, are in one piece."""

import logging
from collections.abc import Mapping, Sequence

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID, ONE_PIECE_IDS
from openvista.anatomy.sides import mirrored_pairs, sided
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError
from openvista.train.sizes import CaseSizes
from openvista.weights import ModelFolder

logger = logging.getLogger(__name__)


def mirrored_ids(names: Mapping[int, str]) -> tuple[tuple[int, int], ...]:
    """Pairs of classes that swap in a mirror.

    Raises:
        AnatomyError: one has no twin, and so must not be mirrored at all.
    """
    pairs = mirrored_pairs(names)
    alone = sided(names).difference(*pairs)
    if alone:
        raise AnatomyError(
            f"--mirror: '{names[min(alone)]}' would turn up on the other side, and its twin is not among the "
            "classes; leave --mirror out"
        )
    return pairs


def named_ids(option: str, words: str, names: Mapping[int, str], base: ModelFolder) -> tuple[int, ...]:
    """Ids of the classes in a list of names that are separated by commas; none of an empty one.

    Args:
        option: where the user gave the list, for messages.
        words: the list.
        names: class id to name, of the classes that are learnt.
        base: knows other names for them.

    Raises:
        AnatomyError: a name is none of these classes.
    """
    if not words:
        return ()
    aliases = {class_id: others for class_id, others in base.card.extra_aliases.items() if class_id in names}
    try:
        return tuple(Vocabulary(names, _new(names), aliases).expand(words))
    except AnatomyError as error:
        raise AnatomyError(f"{option}: {error}") from None


def one_piece_ids(
    words: str, names: Mapping[int, str], base: ModelFolder, sizes: Sequence[CaseSizes]
) -> tuple[int, ...]:
    """New classes that are one connected thing, for the card: those the model says so of, and those the user names.

    What else is in one piece in every case is said in the log, not decided: of tumours that would be wrong.

    Args:
        words, names, base: as in :func:`named_ids`.
        sizes: of cases to learn from.

    Raises:
        AnatomyError: a name is none of these classes, or an official class that may be in several pieces.
    """
    new = _new(names)
    asked = named_ids("--one-piece", words, names, base)
    several = [names[class_id] for class_id in asked if class_id not in new and class_id not in ONE_PIECE_IDS]
    if several:
        raise AnatomyError(
            f"--one-piece: '{several[0]}' is an official class that may be in several pieces; map its label to a new "
            'class ("new:NAME"), or leave it out of --one-piece'
        )
    chosen = {*asked, *base.card.one_piece} & new.keys()
    for class_id in sorted(new.keys() - chosen):
        showing = [case for case in sizes if class_id in case.thickness_mm]
        if showing and not any(class_id in case.in_pieces for case in showing):
            logger.info(
                "'%s' is in one piece in all scans looked at (%d): if it always is, --one-piece leaves strays out",
                new[class_id],
                len(showing),
            )
    return tuple(sorted(chosen))


def _new(names: Mapping[int, str]) -> dict[int, str]:
    return {class_id: name for class_id, name in names.items() if class_id > LAST_OFFICIAL_ID}
