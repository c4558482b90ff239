"""MLServer with adaptive batching: ``mlserver start FOLDER``; a tensor for each column, as its pandas codec has it."""

from __future__ import annotations

import json

from answers import load_for_frames
from mlserver import MLModel
from mlserver.codecs import PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Reference(MLModel):
    async def load(self) -> bool:
        self._predict = load_for_frames()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answers = [json.dumps(answer) for answer in self._predict(PandasCodec.decode_request(payload))]
        output = StringCodec.encode_output("predictions", answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
