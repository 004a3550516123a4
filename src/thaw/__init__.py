"""When you fine-tune a pretrained CNN on a small image set, what should you unfreeze?

For notebooks: `load_results` gives a table's runs as a DataFrame, `load_model` a trained one that predicts.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thaw.notebook.model import load_model as load_model
    from thaw.notebook.results import load_results as load_results

__all__ = ["load_model", "load_results"]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: every module of thaw passes here, and most need none of it.
    if name == "load_model":
        from thaw.notebook.model import load_model

        return load_model
    if name == "load_results":
        from thaw.notebook.results import load_results

        return load_results
    raise AttributeError(f"module 'thaw' has no attribute {name!r}")
