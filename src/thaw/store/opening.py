"""The tail of a run's network, and where its batches come from."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from thaw.base.progress import say
from thaw.base.quiet import keras
from thaw.base.sections import Compute
from thaw.networks import cutting
from thaw.networks.classifiers import Network
from thaw.networks.plan import Opening, Plan
from thaw.store.entries import find_entry
from thaw.store.eviction import measure, say_no_room
from thaw.store.filling import open_part
from thaw.store.place import make_store
from thaw.store.prefixes import Images, Prefix, list_prefixes
from thaw.store.sources import Batches, Pixels, Source


class Asked(NamedTuple):
    """What a pass over the images is for, beside the run itself."""

    compute: Compute
    others: Sequence[Opening] = ()  # of the runs that will ask for prefixes of the same backbone; changes no result
    trained: bool = False  # the network has been trained: behind its cut it is not what other runs start from


def open_run(
    network: Network, plan: Plan | None, images: Sequence[Images], asked: Asked
) -> tuple[keras.Model, Sequence[Batches]]:
    """Return (tail, sources): the model that is left of `network` behind the cut of `plan`, and what it reads.

    There is a source for each of `images`. Where nothing is to be stored, or the store has no room, the tail is the
    whole network and the sources are the records; so it is for the baseline CNN, which has no Plan.
    """
    pixels = [Pixels(*chosen) for chosen in images]
    if plan is None:
        return network.model, pixels
    operations = network.backbone.operations
    if plan.stored:
        prefix = Prefix(network, plan.cut, plan.architecture, asked.compute)

        def find_others() -> list[Prefix]:
            order = operations.index(plan.cut)
            others = list_prefixes(network, plan.architecture, asked.others, asked.compute)
            return [other for other in others if not asked.trained or operations.index(other.operation) < order]

        if sources := _open_parts(prefix, images, find_others):
            return cutting.build_tail(network, plan.cut, plan.batch_norm), sources
    elif plan.cut is not operations[0]:
        say(
            f"activations: storing what lies before {plan.cut_name} would take longer than computing it; the frozen "
            "layers run in every epoch"
        )
    return cutting.build_tail(network, operations[0], plan.batch_norm), pixels


def _open_parts(
    prefix: Prefix, images: Sequence[Images], find_others: Callable[[], Sequence[Prefix]]
) -> list[Source] | None:
    """Return the Source of each of `images`, or None where there is no room for all of them; see `open_part`."""
    store = make_store()
    if store is None:
        return None
    held = missing = 0  # bytes
    for chosen in images:
        size = prefix.bytes_per_image * chosen.count_photos()
        there = find_entry(store, prefix, chosen).exists()
        held, missing = (held + size, missing) if there else (held, missing + size)
    limit, _ = measure(store)
    if missing and held + missing > limit:  # found before some of them are stored for nothing
        say_no_room(store, missing)
        return None
    sources = []
    for chosen in images:
        # Views are those of one run: what others will ask for is the photos as they are.
        source = open_part(prefix, chosen, find_others if chosen.view is None else tuple)
        if source is None:
            return None
        sources.append(source)
    return sources
