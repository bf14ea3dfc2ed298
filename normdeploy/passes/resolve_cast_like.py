"""CastLike(x, like) → Cast(x, to=type of `like`), which no longer depends on a tensor that is computed.

torch exports a layer without bias with zeros that are cast like its input; as a Cast they are constant.
"""

from __future__ import annotations

import onnx_ir as ir

from normdeploy.graph.edit import Editor


class ResolveCastLike(ir.passes.InPlacePass):
    """Put a Cast in the place of each CastLike of the main graph whose type is known."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        editor, modified = Editor(model.graph), False
        for node in [item for item in model.graph if item.op_type == "CastLike" and not item.domain]:
            value, like = node.inputs
            if like is not None and like.dtype is not None:
                editor.replace(node, ir.node("Cast", [value], {"to": int(like.dtype)}, name=node.name))
                modified = True
        return ir.passes.PassResult(model, modified)
