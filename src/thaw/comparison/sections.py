"""Section `report` of params.yaml."""

import pydantic

from thaw.base.sections import Section


class Report(Section):
    """What the report concludes by."""

    margin: float = pydantic.Field(
        ge=0,
        le=20,
        description="of accuracy that a run may lose and still be called as good: a run is, where the 95 % interval of "
        "its difference from the best one, photo by photo, shows that it loses less",
        json_schema_extra={"unit": "points"},
    )
