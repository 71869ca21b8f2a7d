"""What the server is and what it knows."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from openvista._version import __version__
from openvista.anatomy.catalogue import EVERYTHING_IDS, GROUPS, LAST_OFFICIAL_ID, AnatomyClass
from openvista.anatomy.colours import to_hex
from openvista.io.paths import IMAGE_SUFFIXES, OUTPUT_SUFFIXES
from openvista.model import Model
from openvista.serve.etags import answer_with_etag
from openvista.serve.problems import problems
from openvista.serve.sandbox_child import DETACHED
from openvista.serve.schemas import ClassInfo, ClassList, Features, GroupInfo, Limits, ModelInfo, ServerInfo
from openvista.serve.service import TheService

router = APIRouter(prefix="/api/v1", tags=["about"])


@router.get("/info", responses=problems(503))
def info(service: TheService) -> ServerInfo:
    """What this server has loaded, allows and bounds."""
    settings = service.settings
    models = service.engine.models
    branches = {branch for model in models.values() for branch in model.card.branches}
    return ServerInfo(
        version=__version__,
        ready=service.engine.ready,
        default_model=next(iter(models)),
        models=[_model_info(model) for model in models.values()],
        read_formats=[*(ending for ending in IMAGE_SUFFIXES if ending not in DETACHED), ".zip"],
        write_formats=list(OUTPUT_SUFFIXES),
        limits=Limits(
            upload_bytes=settings.upload_bytes,
            voxels=settings.voxels,
            scans=settings.scans,
            sessions=settings.sessions,
        ),
        features=Features(
            class_prompts="automatic" in branches,
            clicks="point" in branches,
            paths=bool(settings.roots),
            urls=bool(settings.url_hosts),
            datastore=settings.datastore is not None,
        ),
    )


@router.get("/classes", responses=problems(422, 503), response_model=ClassList)
def classes(
    request: Request,
    service: TheService,
    model: Annotated[str | None, Query(max_length=200)] = None,
    query: Annotated[str, Query(max_length=120, description="name, beginning of a name, or id")] = "",
) -> Response:
    """The classes a model answers to, best match first; with their colours and groups."""
    found = service.engine.model(model)
    listed = ClassList(
        model=found.card.name,
        classes=[_class_info(item) for item in found.vocabulary.search(query)],
        groups=_groups(found),
    )
    text = listed.model_dump_json()
    return answer_with_etag(request, text.encode(), hashlib.sha256(text.encode()).hexdigest()[:32], "application/json")


def _model_info(model: Model) -> ModelInfo:
    card = model.card
    return ModelInfo(
        name=card.name,
        licence=card.licence,
        weights_sha256=card.weights_sha256,
        branches=list(card.branches),
        class_count=len(card.class_ids),
        window=card.window,
        spacing=card.spacing,
        hu_window=card.hu_window,
    )


def _class_info(item: AnatomyClass) -> ClassInfo:
    return ClassInfo(
        id=item.id,
        name=item.name,
        group=item.group,
        aliases=list(item.aliases),
        colour=to_hex(item.colour),
        snomed=item.snomed,
        special=item.special,
        everything=item.id in EVERYTHING_IDS or item.id > LAST_OFFICIAL_ID,
    )


def _groups(model: Model) -> list[GroupInfo]:
    known = set(model.vocabulary.ids)
    groups = {group: [part for part in parts if part in known] for group, parts in GROUPS.items()}
    return [GroupInfo(id=key, name=model.vocabulary.name(key), members=parts) for key, parts in groups.items() if parts]
