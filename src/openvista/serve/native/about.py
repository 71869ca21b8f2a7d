"""What the server is and what it knows."""

import hashlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from openvista._version import __version__
from openvista.anatomy.catalogue import GROUPS, AnatomyClass
from openvista.anatomy.colours import to_hex
from openvista.io.paths import IMAGE_SUFFIXES, MESH_FORMATS, OUTPUT_SUFFIXES
from openvista.model import Model
from openvista.serve.headers import with_etag
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
        models=[ModelInfo(**vars(model.card), class_count=len(model.card.class_ids)) for model in models.values()],
        read_formats=[*(ending for ending in IMAGE_SUFFIXES if ending not in DETACHED), ".zip"],
        write_formats=[*OUTPUT_SUFFIXES, ".dcm", *(f".{format}" for format in MESH_FORMATS)],
        limits=Limits.model_validate(settings, from_attributes=True),
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
        classes=[_class_info(item, found.vocabulary.everything) for item in found.vocabulary.search(query)],
        groups=_groups(found),
    )
    content = listed.model_dump_json().encode()
    answer = Response(content, media_type="application/json")
    return with_etag(request, answer, hashlib.sha256(content).hexdigest()[:32])


def _class_info(item: AnatomyClass, everything: Sequence[int]) -> ClassInfo:
    return ClassInfo(**vars(item) | {"colour": to_hex(item.colour), "everything": item.id in everything})


def _groups(model: Model) -> list[GroupInfo]:
    known = set(model.vocabulary.ids)
    groups = {group: [part for part in parts if part in known] for group, parts in GROUPS.items()}
    return [GroupInfo(id=key, name=model.vocabulary.name(key), members=parts) for key, parts in groups.items() if parts]
