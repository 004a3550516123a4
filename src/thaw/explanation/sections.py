"""Section `explain` of params.yaml."""

import pydantic

from thaw.base.sections import Section


class Explain(Section):
    """A mapping of runs, of [`frozen`](#frozen), [`finetune`](#finetune) and `baseline_cnn`, whose networks are
    explained: where each looks, and which photos it finds alike; `{}` for none. A preset has those of its own file
    alone.
    """

    perplexity: int = pydantic.Field(
        default=30,
        ge=1,
        le=500,
        description="of the t-SNE map: about how many neighbours of a photo it keeps; at most a third of the photos",
        json_schema_extra={"unit": "photos"},
    )
